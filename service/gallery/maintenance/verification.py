"""Verification: reads everything in a gallery's folder and lists what does not agree."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, func, select

from vitreid.bundle import ImageError, read_image
from vitreid.service.db import Unreadable
from vitreid.service.db.sqlite import integrity_faults, reference_faults
from vitreid.service.errors import GalleryError
from vitreid.service.gallery.maintenance.recall_check import check_index
from vitreid.service.gallery.rows.conditions import metadata_rows
from vitreid.service.gallery.rows.database import FILE, open_database
from vitreid.service.gallery.rows.patches import fault_of as patches_fault
from vitreid.service.gallery.rows.rows import item_of, select_items
from vitreid.service.gallery.rows.tables import (
    deletions,
    embeddings_of,
    gallery,
    generations,
    images,
    items,
    patches,
)
from vitreid.service.gallery.snapshots.snapshot import SnapshotDamaged, check_snapshot, snapshots
from vitreid.service.values.embeddings import embedding_fault

ROWS_AT_ONCE = 2048
_METADATA = "SELECT key, value, item_id FROM item_metadata WHERE item_id = ?"
MAX_FINDINGS = 100  # of one check: a damaged disk would fill the screen

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class GalleryFault:
    """A fault and its place."""

    where: str
    what: str


@dataclass(frozen=True)
class Verified:
    """Counts of what was read, and the faults."""

    counts: dict[str, int]
    """Number read of items, embeddings (of all generations), patches, images, snapshots."""
    recall: float | None
    """Share of the true nearest items that the index finds; None where rows are too damaged to search."""
    findings: tuple[GalleryFault, ...]


@dataclass(frozen=True)
class _Reading:
    """A connection in one transaction, and what was read so far."""

    connection: Connection
    progress: Progress
    counts: Counter[str] = field(default_factory=Counter)

    def rows(self, what: str, wanted: Select[Any]) -> Iterator[Row[Any]]:
        """Yield all rows, counted as `what`."""
        total = self.connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
        for part in self.connection.execute(wanted.execution_options(yield_per=ROWS_AT_ONCE)).partitions():
            yield from part
            self.counts[what] += len(part)
            self.progress(what, self.counts[what], total)


def verify(
    folder: Path, *, decode_images: bool = False, progress: Progress = lambda what, done, total: None
) -> Verified:
    """Read a gallery as a whole and change nothing; others may use it meanwhile.

    Checks the database's pages and references, every label, every embedding's checksum and length, patches, with
    `decode_images` every image, the hashes of snapshots, and that the index agrees with the rows. Raises
    GalleryError only where there is no gallery to read.
    """
    if not (folder / FILE).is_file():
        open_database(folder)  # reports what is there instead
    checks = [_pages, _references, _header, _labels, _embeddings, _patches, *([_images] if decode_images else [])]
    findings: list[GalleryFault] = []
    counts: Counter[str] = Counter()
    try:
        with closing(open_database(folder, read_through=False)) as database, database.reading() as connection:
            reading = _Reading(connection, progress, counts)
            for check in checks:
                findings += islice(check(reading), MAX_FINDINGS)
    except GalleryError as error:  # what SQLite cannot read at all
        findings.append(GalleryFault(FILE, str(error)))
    recall = None
    if not findings:
        recall, faults = check_index(folder)
        findings += [GalleryFault("index", fault) for fault in faults]
    findings += [finding for path in snapshots(folder) for finding in _snapshot(path)]
    counts["snapshots"] = len(snapshots(folder))
    return Verified(dict(counts), recall, tuple(findings))


def _pages(reading: _Reading) -> Iterator[GalleryFault]:
    for line in integrity_faults(reading.connection, MAX_FINDINGS):
        yield GalleryFault(FILE, line)


def _references(reading: _Reading) -> Iterator[GalleryFault]:
    for table, row, parent in reference_faults(reading.connection):
        yield GalleryFault(f"table {table}", f"row {row} belongs to nothing in {parent}")


def _header(reading: _Reading) -> Iterator[GalleryFault]:
    connection = reading.connection
    header = connection.execute(gallery.select()).one()
    for table in (items, deletions):
        newest = connection.execute(select(func.max(table.c.seq))).scalar() or 0
        if newest > header.last_seq:
            yield GalleryFault("table gallery", f"last_seq is {header.last_seq}, {table.name} go up to {newest}")
    live = connection.execute(generations.select().where(generations.c.state == "live")).all()
    expected = (header.generation, header.bundle_id, header.dimension)
    if [(row.id, row.bundle_id, row.dimension) for row in live] != [expected]:
        yield GalleryFault(
            "table generations", f"the live one is not generation {header.generation}, as in table gallery"
        )


def _labels(reading: _Reading) -> Iterator[GalleryFault]:
    for row in reading.rows("items", select_items().order_by(items.c.id)):
        try:
            item = item_of(row)
        except Unreadable as error:
            yield GalleryFault(f"item {row.id}", f"cannot be read ({error})")
            continue
        # Once per item: without the cost of building a statement.
        found = reading.connection.exec_driver_sql(_METADATA, (item.id,)).all()
        if {tuple(row) for row in found} != set(metadata_rows(item.id, item.metadata)):
            yield GalleryFault(f"item {item.id}", "is found by other metadata than it has")


def _embeddings(reading: _Reading) -> Iterator[GalleryFault]:
    for generation in reading.connection.execute(generations.select()).all():
        stored = embeddings_of(generation.id)
        for row in reading.rows("embeddings", stored.select()):
            fault = _fault_of(row, generation.dimension)
            if fault is not None:
                yield GalleryFault(f"item {row.item_id}", f"its embedding of generation {generation.id} {fault}")
        if generation.state == "live":
            joined = items.outerjoin(stored, stored.c.item_id == items.c.id)
            without = select(items.c.id).select_from(joined).where(stored.c.item_id.is_(None))
            for item_id in reading.connection.execute(without).scalars():
                yield GalleryFault(f"item {item_id}", "has no embedding")


def _fault_of(row: Row[Any], dimension: int) -> str | None:
    if zlib.crc32(row.embedding) != row.checksum:
        return "does not match its checksum"
    vector = np.frombuffer(row.embedding, dtype="<f4") if len(row.embedding) % 4 == 0 else np.empty(0)
    fault = embedding_fault([vector], dimension)
    return None if fault is None else fault[1]


def _patches(reading: _Reading) -> Iterator[GalleryFault]:
    for row in reading.rows("patches", patches.select()):
        if (fault := patches_fault(row.patch_indices, row.vectors, row.checksum)) is not None:
            yield GalleryFault(f"item {row.item_id}", f"its patches {fault}")


def _images(reading: _Reading) -> Iterator[GalleryFault]:
    for row in reading.rows("images", images.select()):
        try:
            read_image(row.image, name="its image")
        except ImageError as error:
            yield GalleryFault(f"item {row.item_id}", str(error))


def _snapshot(path: Path) -> Iterator[GalleryFault]:
    try:
        check_snapshot(path)
    except SnapshotDamaged as error:
        yield GalleryFault(path.name, str(error))
