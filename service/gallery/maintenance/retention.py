"""Retention: items older than the gallery's period are erased like any others."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, case, func, select

from vitreid.service.db import UtcText
from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.tables import items
from vitreid.service.values.times import HORIZON, STEP, plausible

logger = logging.getLogger("vitreid")

REASON = "retention"
AT_ONCE = 500  # items of one erasure, so that other writers get their turn in between

_TAKEN_AT = case((items.c.captured_at < items.c.created_at, items.c.captured_at), else_=items.c.created_at)
"""Start of an item's age: captured_at, but never after it was added, and then where that is unknown."""


def expire(gallery: Gallery, now: datetime) -> int:
    """Erase the items whose age at `now` is over the gallery's retention_days; return their number.

    None go while the clock cannot be right. Items that were added by such a clock count from now on.
    """
    days = gallery.settings().retention_days
    if days is None or not plausible(now):
        return 0
    _correct_dates(gallery, now)
    erased = 0
    while ids := _expired(gallery, _before(now, days)):
        try:
            gallery.erase(ids, reason=REASON)
        except ItemNotFound:  # somebody was faster with all of them
            continue
        erased += len(ids)
    return erased


def clock_warning(gallery: Gallery, now: datetime) -> str | None:
    """Return what a wrong clock does to the gallery's retention, as a sentence for operators, or None."""
    if gallery.settings().retention_days is None:
        return None
    subject = f"gallery {gallery.name}: retention"
    if not plausible(now):
        return f"{subject} waits: the clock shows {now:%Y-%m-%d}, which cannot be right; set the clock"
    with gallery._store.database.reading() as connection:
        ahead = select(func.count(), func.max(items.c.created_at, type_=UtcText())).where(
            items.c.created_at > now + STEP
        )
        count, newest = connection.execute(ahead).one()
    if not count:
        return None
    return f"{subject} delays {count:,} items: a wrong clock dated them up to {newest:%Y-%m-%d}"


def expired_ids(connection: Connection, before: datetime, limit: int) -> list[int]:
    """Return ids of the first items in order of id whose age begins before a time."""
    # Texts of one width sort as times do, so the column can be compared with the time itself.
    wanted = select(items.c.id).where(before > _TAKEN_AT).order_by(items.c.id).limit(limit)
    return list(connection.execute(wanted).scalars())


def _expired(gallery: Gallery, before: datetime) -> list[int]:
    with gallery._store.database.reading() as connection:
        return expired_ids(connection, before, AT_ONCE)


def _correct_dates(gallery: Gallery, now: datetime) -> None:
    """Let items count from now on that an impossible clock dated: they would stay for good."""
    beyond = items.c.created_at >= HORIZON
    with gallery._store.database.reading() as connection:
        if connection.execute(select(items.c.id).where(beyond).limit(1)).first() is None:
            return
    with gallery._store.database.writing() as connection:
        count = connection.execute(items.update().where(beyond).values(created_at=now)).rowcount
    logger.warning(
        "gallery %s: %d items were added by a clock that was wrong; they count from now on", gallery.name, count
    )


def _before(now: datetime, days: float) -> datetime:
    try:
        return now.astimezone(UTC) - timedelta(days=days)
    except OverflowError:  # longer than the calendar: nothing is that old
        return datetime.min.replace(tzinfo=UTC)
