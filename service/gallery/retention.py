"""Retention: items that are older than a gallery keeps them are erased like any others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from service.gallery.errors import ItemNotFound
from service.gallery.gallery import Gallery
from service.gallery.tables import items

REASON = "retention"
AT_ONCE = 500  # items of one erasure, so that other writers get their turn in between

_TAKEN_AT = func.min(func.coalesce(items.c.captured_at, items.c.created_at), items.c.created_at)
"""When an item's age begins: at captured_at, but never after it was added, and then where that is unknown."""


def expire(gallery: Gallery, now: datetime) -> int:
    """Erase the items whose age at `now` is over the gallery's retention_days; their number."""
    days = gallery.settings().retention_days
    if days is None:
        return 0
    erased = 0
    while ids := _expired(gallery, _before(now, days)):
        try:
            gallery.erase(ids, reason=REASON)
        except ItemNotFound:  # somebody was faster with all of them
            continue
        erased += len(ids)
    return erased


def expired_ids(connection: Connection, before: datetime, limit: int) -> list[int]:
    """Ids of the first items in order of id whose age begins before a time."""
    # Texts of one width sort as times do, so the column can be compared with the time itself.
    wanted = select(items.c.id).where(before > _TAKEN_AT).order_by(items.c.id).limit(limit)
    return list(connection.execute(wanted).scalars())


def _expired(gallery: Gallery, before: datetime) -> list[int]:
    with gallery.store.database.reading() as connection:
        return expired_ids(connection, before, AT_ONCE)


def _before(now: datetime, days: float) -> datetime:
    try:
        return now.astimezone(UTC) - timedelta(days=days)
    except OverflowError:  # longer than the calendar: nothing is that old
        return datetime.min.replace(tzinfo=UTC)
