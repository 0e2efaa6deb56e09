"""Any sequence of what can be done to a gallery, against a dict and a slow search."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from vitreid.scoring.patches import Foreground
from vitreid.service.gallery import Filter, Gallery, NewItem
from vitreid.service.gallery.errors import BundleMismatch, ItemNotFound
from vitreid.service.gallery.maintenance.backup import back_up
from vitreid.service.gallery.maintenance.purging import purge, unpurged
from vitreid.service.gallery.maintenance.reembedding import reembed
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.rows.patches import drop_patches, write_patches
from vitreid.service.gallery.snapshots.snapshot import snapshots
from vitreid.service.indexes import AUTO, INDEXES

DIMENSION = 4
POOL = 60
KINDS = st.sampled_from([*sorted(INDEXES.keys() - {"gpu"}), AUTO])
NUMBERS = st.lists(st.integers(0, POOL - 1), min_size=1, max_size=8)
CAMERAS = st.sampled_from([None, "c1", "c2"])
PERSONS = st.sampled_from([None, "7", "8"])
DOORS = st.sampled_from([1, 1.5, True, "north", None])


MODELS = ("a" * 64, "b" * 64)
LOOKER = "c" * 64
BEGINNING = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Known:
    """Expected state of an item."""

    number: int
    camera_id: str | None
    person_id: str | None
    door: Any
    looked: bool = False
    """Whether its patches are kept."""


@dataclass(frozen=True)
class Backup:
    """Content of a backup."""

    known: dict[int, Known]
    model: int


def embedding(number: int, model: int) -> np.ndarray:
    """One of POOL unit rows of each model; some are equal, so that ties come up."""
    row = np.random.default_rng((number % (POOL - 10), model)).standard_normal(DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def patches(number: int) -> Foreground:
    """Three rows of halves that tell an image's number."""
    return Foreground(np.arange(3), np.full((3, 4), number + 1, np.float32))


def make_image(number: int) -> bytes:
    """A grey image that tells its number."""
    content = io.BytesIO()
    Image.new("L", (8, 8), number).save(content, "PNG")
    return content.getvalue()


class Model:
    """Embeds such images."""

    def __init__(self, model: int) -> None:
        self.model = model
        self.manifest = SimpleNamespace(bundle_id=MODELS[model], dimension=DIMENSION, cameras=())

    def prepare(self, image: Image.Image) -> int:
        """The number of an image."""
        return int(np.asarray(image)[0, 0, 0])

    def run(self, numbers: Sequence[int], cameras: Sequence[str | None]) -> np.ndarray:
        """(N, D) rows."""
        return np.array([embedding(number, self.model) for number in numbers]).reshape(-1, DIMENSION)


class GalleryMachine(RuleBasedStateMachine):
    """The gallery beside its model."""

    @initialize(index=KINDS)
    def begin(self, index: str) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "gallery"
        self.known: dict[int, Known] = {}
        self.gone: set[int] = set()
        self.backups: list[Backup] = []
        self.seq = self.last_id = self.model = 0
        self.now = BEGINNING
        self.open(index)

    def open(self, index: str) -> None:
        self.index = index
        self.gallery = Gallery.open(self.folder, bundle_id=MODELS[self.model], dimension=DIMENSION, index=index)
        self.gallery._store.clock = self.clock

    def clock(self) -> datetime:
        """A clock that jumps, forth and back."""
        return self.now

    @rule(numbers=NUMBERS, camera=CAMERAS, person=PERSONS, door=DOORS)
    def add(self, numbers: list[int], camera: str | None, person: str | None, door: Any) -> None:
        here = {item.number: item_id for item_id, item in self.known.items()}
        new = [
            NewItem(
                embedding(number, self.model),
                hashlib.sha256(bytes([number])).hexdigest(),
                make_image(number),
                camera_id=camera,
                person_id=person,
                metadata={"door": door},
            )
            for number in numbers
        ]
        for number, result in zip(numbers, self.gallery.add(new), strict=True):
            assert result.duplicate is (number in here)
            if number not in here:
                self.last_id += 1
                self.seq += 1
                here[number] = self.last_id
                self.known[self.last_id] = Known(number, camera, person, door)
            assert result.id == here[number]

    @precondition(lambda self: self.known)
    @rule(data=st.data(), camera=CAMERAS, person=PERSONS, door=DOORS)
    def patch(self, data: st.DataObject, camera: str | None, person: str | None, door: Any) -> None:
        item_id = data.draw(st.sampled_from(sorted(self.known)))
        changed = self.gallery.update(item_id, {"camera_id": camera, "person_id": person, "metadata": {"door": door}})
        self.seq += 1
        assert (changed.seq, changed.camera_id, changed.metadata) == (self.seq, camera, {"door": door})
        self.known[item_id] = replace(self.known[item_id], camera_id=camera, person_id=person, door=door)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        item_id = data.draw(st.sampled_from(sorted(self.known)))
        self.gallery.delete(item_id)
        self.seq += 1
        self.gone.add(item_id)
        del self.known[item_id]
        with pytest.raises(ItemNotFound):
            self.gallery.get(item_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        gone = data.draw(st.sets(st.sampled_from(sorted(self.known)), min_size=1))
        receipt = self.gallery.erase(gone)
        assert set(receipt.item_ids) == gone
        self.seq += len(gone)
        self.gone |= gone
        self.known = {item_id: item for item_id, item in self.known.items() if item_id not in gone}

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.known)), min_size=1))
        with self.gallery._store.database.writing() as connection:
            write_patches(connection, LOOKER, {item_id: patches(self.known[item_id].number) for item_id in chosen})
        self.known |= {item_id: replace(self.known[item_id], looked=True) for item_id in chosen}

    @rule()
    def forget_patches(self) -> None:
        with self.gallery._store.database.writing() as connection:
            drop_patches(connection)
        self.known = {item_id: replace(item, looked=False) for item_id, item in self.known.items()}

    @rule(number=st.integers(0, 2 * POOL), k=st.integers(1, 80), camera=CAMERAS, door=st.none() | DOORS)
    def search(self, number: int, k: int, camera: str | None, door: Any) -> None:
        query = embedding(number, self.model)
        where = Filter(
            cameras=None if camera is None else frozenset({camera}),
            exclude_cameras=frozenset({"c2"} if number % 3 == 0 else ()),
            metadata={} if door is None else {"door": door},
        )
        scores = {
            item_id: float(query.astype(np.float64) @ embedding(item.number, self.model))
            for item_id, item in self.known.items()
            if camera in (None, item.camera_id)
            and item.camera_id not in where.exclude_cameras
            and (door is None or (item.door == door and isinstance(item.door, bool) is isinstance(door, bool)))
        }
        assert self.gallery.ids(where) == sorted(scores)
        [found] = self.gallery.search(query[None], k, where=where)
        assert len(found) == min(k, len(scores))
        for place, match in enumerate(found):
            assert match.score == pytest.approx(scores[match.item.id], abs=3e-6)
            known = self.known[match.item.id]
            assert (match.item.camera_id, match.item.person_id) == (known.camera_id, known.person_id)
            before = {earlier.item.id for earlier in found[:place]}
            assert match.score >= max(score for item_id, score in scores.items() if item_id not in before) - 3e-6
        order = [(-match.score, match.item.id) for match in found]
        assert order == sorted(order)

    @rule()
    def snapshot(self) -> None:
        self.gallery.write_snapshot()
        assert self.gallery.info().snapshot_seq == self.seq

    @rule()
    def replace_snapshots(self) -> None:
        had = bool(snapshots(self.gallery.folder))
        self.gallery.replace_snapshots()
        assert len(snapshots(self.gallery.folder)) == int(had)

    @rule()
    def rebuild(self) -> None:
        self.gallery.rebuild_index()

    @rule()
    def purge(self) -> None:
        assert purge(self.gallery, self.clock)
        assert unpurged(self.gallery) is None
        assert all(receipt.purged_at is not None for receipt in self.gallery.receipts())

    @rule(days=st.sampled_from([-4000, -1, 1, 4000]))
    def jump(self, days: int) -> None:
        self.now += timedelta(days=days)

    @precondition(lambda self: len(self.backups) < 3)
    @rule()
    def back_up(self) -> None:
        place = self.folder.with_name(f"backup {len(self.backups)}")
        assert back_up(self.gallery, place, self.now).seq == self.seq
        self.backups.append(Backup(dict(self.known), self.model))

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.backups) - 1))
        backup = self.backups[number]
        self.gallery.close()
        restore(self.folder.with_name(f"backup {number}"), self.folder, replace=True)
        self.known = {item_id: item for item_id, item in backup.known.items() if item_id not in self.gone}
        self.model = backup.model
        self.seq += 1
        self.open(self.index)

    @rule()
    def embed_again(self) -> None:
        self.model = 1 - self.model
        done = reembed(self.gallery, cast(Any, Model(self.model)), self.clock, batch_size=7)
        assert done.items == len(self.known)
        self.seq += 1
        with pytest.raises(BundleMismatch):
            self.gallery.search(embedding(0, 0)[None], 1)
        self.gallery.close()
        self.open(self.index)

    @rule(index=KINDS)
    def reopen(self, index: str) -> None:
        self.gallery.close()
        self.open(index)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "gallery"):
            assert len(self.gallery) == len(self.known)
            info = self.gallery.info()
            assert (info.seq, info.items) == (self.seq, len(self.known))

    @invariant()
    def patches_are_those_of_items(self) -> None:
        if hasattr(self, "gallery"):
            found = self.gallery.foregrounds(range(1, self.last_id + 1), LOOKER)
            kept = {item_id: item.number for item_id, item in self.known.items() if item.looked}
            assert {item_id: int(each.vectors[0, 0]) - 1 for item_id, each in found.items()} == kept
            assert self.gallery.info().patches == len(kept)

    @invariant()
    def times_rise_with_ids(self) -> None:
        if hasattr(self, "gallery"):
            made = [item.created_at for item in self.gallery.items(limit=1000)]
            assert made == sorted(made)

    def teardown(self) -> None:
        if hasattr(self, "gallery"):
            self.gallery.close()
            self.temporary.cleanup()


TestGalleryMachine = GalleryMachine.TestCase
TestGalleryMachine.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]  # what a decorator would set
TestGalleryMachine.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
