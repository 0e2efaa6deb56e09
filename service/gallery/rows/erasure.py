"""Erasure: rows go at once in one transaction; what their deletion leaves in files goes with the next purge."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, case, func, literal, select

from vitreid.service.db import UtcText
from vitreid.service.db.sqlite import among
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import ErasureNotFound, ImageMismatch, ItemNotFound
from vitreid.service.gallery.rows.rows import advance, remove
from vitreid.service.gallery.rows.tables import backups, deletions, erasures, gallery, images, items
from vitreid.service.values.times import believable

LONGEST_REASON = 200


@dataclass(frozen=True)
class Remaining:
    """A place that may still hold what was erased."""

    kind: Literal["database", "snapshot", "backup"]
    """The database's log and free pages and the snapshots go with the next purge; a backup by `drop-backup`."""
    id: str
    place: str
    """Path; of database and snapshots within the gallery's folder."""


@dataclass(frozen=True)
class Receipt:
    """Record of an erasure and of what remains to do; of the erased items it has nothing but ids."""

    id: str
    seq: int
    """Position in the gallery's history; a backup with a later one holds nothing of what was erased."""
    requested_at: datetime
    unsearchable_at: datetime
    """From here on no search and no request finds the items."""
    purged_at: datetime | None
    """From here on no file of the gallery holds bytes of them; None: not yet."""
    items: int
    images: int
    item_ids: tuple[int, ...]
    reason: str | None
    requested_by: str | None
    remaining: tuple[Remaining, ...]
    """Where they may still be: empty once purged and every backup of that time is dropped."""


def erase(
    connection: Connection,
    ids: Collection[int],
    *,
    clock: Callable[[], datetime],
    generation: int,
    expected: Iterable[tuple[int, str]] = (),
    reason: str | None = None,
    requested_by: str | None = None,
) -> str:
    """Delete those of the items that are there with all that hangs on them, and store a receipt; return its id.

    Embeddings of every generation, image, labels and metadata go. `expected` are pairs of an item's id and the
    image_hash that it must have where it is there. Raises BadParameter without ids, ItemNotFound where not one of the
    items is there, ImageMismatch, and BundleMismatch; nothing was done then.
    """
    if not ids:
        raise BadParameter("no items to erase were named; give at least one id")
    wanted = select(items.c.id, items.c.image_hash).where(items.c.id.in_(among(ids))).order_by(items.c.id)
    hashes = {row.id: row.image_hash for row in connection.execute(wanted)}
    here = list(hashes)
    if not here:
        raise _none_of(ids)
    for item_id, image_hash in expected:
        if (found := hashes.get(item_id, image_hash)) != image_hash:
            raise ImageMismatch.of(item_id, found, image_hash)
    stored = select(func.count()).select_from(images).where(images.c.item_id.in_(among(here)))
    with_image = connection.execute(stored).scalar_one()
    moment = advance(connection, len(here), now=clock(), generation=generation)
    remove(connection, here, moment)
    receipt = {
        "id": str(uuid.uuid4()),
        "requested_at": moment.at,
        "unsearchable_at": believable(clock(), moment.at),  # the commit follows at once
        "items": len(here),
        "images": with_image,
        "item_ids": here,
        "reason": reason,
        "requested_by": requested_by,
        "last_seq": moment.seqs[-1],
    }
    connection.execute(erasures.insert().values(**receipt))
    return str(receipt["id"])


def check_reason(reason: str) -> None:
    """Raise BadParameter for a reason that is too long for a receipt, or not printable."""
    if not reason.isprintable() or not 0 < len(reason) <= LONGEST_REASON:
        raise BadParameter(f"reason {reason!r:.60} must be 1 to {LONGEST_REASON} printable characters")


def _none_of(ids: Collection[int]) -> ItemNotFound:
    """Return the error for ids of which not one is there."""
    return ItemNotFound(f"none of the {len(ids)} items to erase is in this gallery (the first: {min(ids)})")


def read_receipt(connection: Connection, erasure_id: str, folder: Path) -> Receipt:
    """Return the receipt of this id as it is now. Raises ErasureNotFound."""
    row = connection.execute(erasures.select().where(erasures.c.id == erasure_id)).first()
    if row is None:
        raise ErasureNotFound(f"no erasure {erasure_id!r} in this gallery; `GET /v1/erasures` lists those that were")
    return _receipts(connection, [row], folder)[0]


def read_receipts(connection: Connection, folder: Path, *, before: int | None, limit: int) -> list[Receipt]:
    """Return receipts, newest first; only those with a seq less than `before` where it is given."""
    wanted = erasures.select().order_by(erasures.c.last_seq.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(erasures.c.last_seq < before)
    return _receipts(connection, connection.execute(wanted).all(), folder)


def unpurged_seq(connection: Connection) -> int | None:
    """Return the seq of the newest deletion whose traces are not purged yet, or None."""
    newest = connection.execute(select(func.max(deletions.c.seq))).scalar()
    purged = connection.execute(select(gallery.c.purged_seq)).scalar_one()
    return newest if newest is not None and newest > purged else None


def mark_purged(connection: Connection, seq: int, now: datetime) -> None:
    """Record that nothing deleted up to `seq` is left in the gallery's files."""
    connection.execute(gallery.update().where(gallery.c.purged_seq < seq).values(purged_seq=seq))
    now = believable(now, connection.execute(select(gallery.c.last_at)).scalar_one())
    done = erasures.update().where(erasures.c.last_seq <= seq, erasures.c.purged_at.is_(None))
    # A clock that jumped back must not make a receipt that was purged before it was requested.
    unsearchable_at = erasures.c.unsearchable_at
    connection.execute(
        done.values(purged_at=case((unsearchable_at > now, unsearchable_at), else_=literal(now, UtcText())))
    )


def _receipts(connection: Connection, rows: Sequence[Row[Any]], folder: Path) -> list[Receipt]:
    present = connection.execute(
        backups.select().where(backups.c.purged_at.is_(None)).order_by(backups.c.created_at)
    ).all()
    own = [Remaining("database", "gallery.db", "gallery.db")]
    own += [
        Remaining("snapshot", path.name, path.relative_to(folder).as_posix())
        for path in sorted(folder.glob("snapshots/*"))
    ]
    receipts = []
    for row in rows:
        values = row._asdict()
        seq = values.pop("last_seq")
        copies = [Remaining("backup", each.id, each.place) for each in present if each.seq < seq]
        remaining = (own if row.purged_at is None else []) + copies
        values["item_ids"] = tuple(values["item_ids"])
        receipts.append(Receipt(**values, seq=seq, remaining=tuple(remaining)))
    return receipts
