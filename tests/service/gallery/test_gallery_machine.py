"""Any sequence of what can be done to a gallery, against a dict and a slow search."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.gallery import Filter, Gallery, NewItem
from service.gallery.errors import ItemNotFound
from service.gallery.snapshot import generations

DIMENSION = 4
POOL = 60
INDEXES = st.sampled_from(["exact", "flat", "hnsw", "ivf", "auto"])
NUMBERS = st.lists(st.integers(0, POOL - 1), min_size=1, max_size=8)
CAMERAS = st.sampled_from([None, "c1", "c2"])
PERSONS = st.sampled_from([None, "7", "8"])
DOORS = st.sampled_from([1, 1.5, True, "north", None])


@dataclass
class Known:
    """What the gallery must say about an item."""

    number: int
    camera_id: str | None
    person_id: str | None
    door: object


def embedding(number: int) -> np.ndarray:
    """One of POOL unit rows; some are equal, so that ties come up."""
    row = np.random.default_rng(number % (POOL - 10)).standard_normal(DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


class GalleryMachine(RuleBasedStateMachine):
    """The gallery beside its model."""

    @initialize(index=INDEXES)
    def begin(self, index: str) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.known: dict[int, Known] = {}
        self.seq = self.last_id = 0
        self.open(index)

    def open(self, index: str) -> None:
        folder = Path(self.temporary.name) / "gallery"
        self.gallery = Gallery.open(folder, bundle_id="a" * 64, dimension=DIMENSION, index=index)

    @rule(numbers=NUMBERS, camera=CAMERAS, person=PERSONS, door=DOORS)
    def add(self, numbers: list[int], camera: str | None, person: str | None, door: object) -> None:
        here = {item.number: item_id for item_id, item in self.known.items()}
        new = [
            NewItem(
                embedding(number),
                hashlib.sha256(bytes([number])).hexdigest(),
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
    def patch(self, data: st.DataObject, camera: str | None, person: str | None, door: object) -> None:
        item_id = data.draw(st.sampled_from(sorted(self.known)))
        changed = self.gallery.patch(item_id, {"camera_id": camera, "person_id": person, "metadata": {"door": door}})
        self.seq += 1
        assert (changed.seq, changed.camera_id, changed.metadata) == (self.seq, camera, {"door": door})
        self.known[item_id] = replace(self.known[item_id], camera_id=camera, person_id=person, door=door)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        item_id = data.draw(st.sampled_from(sorted(self.known)))
        self.gallery.delete(item_id)
        self.seq += 1
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
        self.known = {item_id: item for item_id, item in self.known.items() if item_id not in gone}

    @rule(number=st.integers(0, 2 * POOL), k=st.integers(1, 80), camera=CAMERAS, door=st.none() | DOORS)
    def search(self, number: int, k: int, camera: str | None, door: object) -> None:
        query = embedding(number)
        where = Filter(
            cameras=None if camera is None else frozenset({camera}),
            exclude_cameras=frozenset({"c2"} if number % 3 == 0 else ()),
            metadata={} if door is None else {"door": door},
        )
        scores = {
            item_id: float(query.astype(np.float64) @ embedding(item.number))
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
        had = bool(generations(self.gallery.folder))
        self.gallery.replace_snapshots()
        assert len(generations(self.gallery.folder)) == int(had)

    @rule()
    def rebuild(self) -> None:
        self.gallery.rebuild_index()

    @rule(index=INDEXES)
    def reopen(self, index: str) -> None:
        self.gallery.close()
        self.open(index)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "gallery"):
            assert len(self.gallery) == len(self.known)
            info = self.gallery.info()
            assert (info.seq, info.items) == (self.seq, len(self.known))

    def teardown(self) -> None:
        if hasattr(self, "gallery"):
            self.gallery.close()
            self.temporary.cleanup()


TestGalleryMachine = GalleryMachine.TestCase
TestGalleryMachine.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
