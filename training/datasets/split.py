"""What a data set is to the rest: samples for training, queries, and the gallery they are sought in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Sample:
    """A picture of a person by a camera, from a view (front, rear, ...); None is an unknown one."""

    path: Path
    person: str
    camera: str | None
    view: str | None = None


@dataclass(frozen=True)
class Split:
    """A data set's three parts; any may be empty. Persons of train and of query do not overlap in a sound data set."""

    train: tuple[Sample, ...]
    query: tuple[Sample, ...]
    gallery: tuple[Sample, ...]

    def train_persons(self) -> tuple[str, ...]:
        """The training persons in the order of their class index."""
        return tuple(sorted({sample.person for sample in self.train}))

    def train_cameras(self) -> tuple[str, ...]:
        """The known training cameras in the order of their index: c2 comes before c10."""
        return _in_order(sample.camera for sample in self.train)

    def train_views(self) -> tuple[str, ...]:
        """The known training views in the order of their index."""
        return _in_order(sample.view for sample in self.train)

    def train_labels(self) -> NDArray[np.int64]:
        """Indices of person, camera and view (N, 3) of the training samples; -1 = unknown."""
        known = (self.train_persons(), self.train_cameras(), self.train_views())
        person, camera, view = ({name: i for i, name in enumerate(names)} for names in known)
        rows = [
            (person[each.person], camera.get(each.camera or "", -1), view.get(each.view or "", -1))
            for each in self.train
        ]
        return np.array(rows, dtype=np.int64)


def _in_order(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name is not None}, key=lambda name: (len(name), name)))


def hold_out(split: Split, persons: int, seed: int) -> Split:
    """Keep persons of the training part from training and make them the query and the gallery.

    Of each held-back person and camera one picture becomes a query and the rest the gallery.

    Raises DataError where fewer than two persons would be left to train on.
    """
    names = split.train_persons()
    if persons > len(names) - 2:
        raise DataError(f"data.holdout_persons = {persons}, but only {len(names)} persons train; leave at least two")
    random = np.random.default_rng([seed, len(names)])
    held = set(random.choice(names, persons, replace=False).tolist())
    query: dict[tuple[str, str | None], Sample] = {}
    gallery = []
    for sample in split.train:
        if sample.person not in held:
            continue
        key = (sample.person, sample.camera)
        if key in query:
            gallery.append(sample)
        else:
            query[key] = sample
    train = tuple(sample for sample in split.train if sample.person not in held)
    return Split(train, tuple(query.values()), tuple(gallery))


def pictures(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
