"""Invariants of a gallery whose process was killed, checked on its files, not by the program."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.service.crash.history import Known, State
from tests.service.crash.worker import DIMENSION, embedding, make_image, patches
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.snapshots.snapshot import check_snapshot, snapshots

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Rows:
    """The rows of a gallery, as SQLite has them."""

    items: dict[int, Known]
    deleted: dict[int, int]
    """seq -> id"""
    erased: dict[tuple[int, ...], str | None]
    """ids -> purged_at"""
    backups: set[str]
    """Names of those that are not dropped."""
    last_seq: int
    last_id: int
    purged_seq: int

    def are(self, state: State) -> bool:
        """True if they are those of a state, backups aside."""
        return (
            self.items == state.items
            and self.deleted == {seq: item_id for seq, (item_id, _) in state.deleted.items()}
            and set(self.erased) == set(state.erased)
            and (self.last_seq, self.last_id) == (state.last_seq, state.last_id)
        )


def rows_of(path: Path) -> Rows:
    """Read a database and check that its rows fit together: no item is half there."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:

        def read(statement: str) -> list[tuple[Any, ...]]:
            return connection.execute(statement).fetchall()

        assert read("PRAGMA integrity_check") == [("ok",)]
        assert read("PRAGMA foreign_key_check") == []
        (header,) = read("SELECT last_seq, purged_seq, generation FROM gallery")
        items = {}
        embeddings = f"embeddings_{header[2]}"
        whole = f"SELECT * FROM items JOIN {embeddings} e ON e.item_id = id JOIN images p ON p.item_id = id"
        connection.row_factory = sqlite3.Row
        for row in connection.execute(whole):
            number = json.loads(row["metadata"])["number"]
            assert row["image"] == make_image(number)
            assert row["embedding"] == embedding(number).tobytes()
            assert row["checksum"] == zlib.crc32(row["embedding"])
            items[row["id"]] = Known(number, row["camera_id"], row["person_id"], row["seq"])
        connection.row_factory = None
        for table in ("items", "images", embeddings, "item_metadata"):
            assert read(f"SELECT count(*) FROM {table}") == [(len(items),)], table
        for item_id, vectors in read("SELECT item_id, vectors FROM patches"):
            assert vectors == patches(items[item_id].number).vectors.astype("<f2").tobytes()
        deleted = dict(read("SELECT seq, item_id FROM deletions"))
        erased = {tuple(json.loads(ids)): at for ids, at in read("SELECT item_ids, purged_at FROM erasures")}
        gone = set(deleted.values())
        assert len(gone) == len(deleted)
        assert not gone & set(items)
        assert all(gone.issuperset(ids) for ids in erased)
        kept = {Path(place).name for (place,) in read("SELECT place FROM backups WHERE purged_at IS NULL")}
        ((last_id,),) = read("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'items'")
        return Rows(items, deleted, erased, kept, header[0], last_id, header[1])


def check_searches(gallery: Gallery, items: dict[int, Known]) -> None:
    """The index holds what the rows hold: searches give what counting by hand gives."""
    everything = {item_id: embedding(known.number).astype(np.float64) for item_id, known in items.items()}
    for query in np.random.default_rng(len(items)).standard_normal((3, DIMENSION)):
        query /= np.linalg.norm(query)
        scores = {item_id: float(row @ query) for item_id, row in everything.items()}
        for k in (5, len(items) + 1):
            [found] = gallery.search(query[None].astype(np.float32), k)
            assert len(found) == len({match.item.id for match in found}) == min(k, len(scores))
            best = sorted(scores.values(), reverse=True)[:k]
            assert np.allclose([match.score for match in found], best, atol=TOLERANCE)
            assert np.allclose([scores[match.item.id] for match in found], best, atol=TOLERANCE)
            assert all(match.item.camera_id == items[match.item.id].camera_id for match in found)


def check_files(folder: Path, rows: Rows, state: State) -> None:
    """No half snapshot has a name, and what is said to be purged is in no file."""
    for path in snapshots(folder):
        check_snapshot(path)
    gone = [number for seq, (_, number) in state.deleted.items() if seq <= rows.purged_seq]
    here = {known.number for known in rows.items.values()}
    traces = [
        trace
        for number in set(gone) - here
        for trace in (
            make_image(number),
            embedding(number).tobytes(),
            patches(number).vectors.astype("<f2").tobytes(),
        )
    ]
    for path, content in _contents(folder):
        assert not any(trace in content for trace in traces), f"{path} holds what was purged"


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    return ((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())
