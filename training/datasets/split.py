"""What a data set is to the rest: samples for training, queries, and the gallery they are sought in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.image_files import is_image_name
from vitreid.training.errors import DataError


@dataclass(frozen=True)
class Sample:
    """An image of a person by a camera, from a view (front, rear, ...); None is an unknown one."""

    path: Path
    person: str
    camera: str | None
    view: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """Files of a data set's folder that are in none of its parts, for one reason."""

    reason: str
    paths: tuple[Path, ...]
    noted: bool
    """Whether a run tells of them: images that its owner may have meant to be read."""


@dataclass(frozen=True)
class Split:
    """A data set's three parts; any may be empty. Persons of train and of query do not overlap in a sound data set."""

    train: tuple[Sample, ...]
    query: tuple[Sample, ...]
    gallery: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...] = field(default=(), kw_only=True)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All of them: train, query, gallery."""
        return (*self.train, *self.query, *self.gallery)

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

    See `query_and_gallery` for which images become queries.

    Raises DataError where fewer than two persons would be left to train on.
    """
    names = split.train_persons()
    if persons > len(names) - 2:
        raise DataError(
            f"data.holdout_persons = {persons}, but the training part has {len(names)} persons, and two must "
            f"train; lower it, as with --set data.holdout_persons={len(names) // 4}"
        )
    random = np.random.default_rng([seed, len(names)])
    held = set(random.choice(names, persons, replace=False).tolist())
    train = tuple(sample for sample in split.train if sample.person not in held)
    query, gallery = query_and_gallery(sample for sample in split.train if sample.person in held)
    return replace(split, train=train, query=query, gallery=gallery)


def query_and_gallery(samples: Iterable[Sample]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Make one image of each person and camera a query and the others the gallery.

    An image stays in the gallery where it is needed there, so that every query has an answer by another camera.
    """
    of_person: dict[str, list[Sample]] = {}
    for sample in samples:
        of_person.setdefault(sample.person, []).append(sample)
    query: list[Sample] = []
    gallery: list[Sample] = []
    for own in of_person.values():
        asked: list[Sample] = []
        for sample in {sample.camera: sample for sample in reversed(own)}.values():
            if all(_answered(each, own, [*asked, sample]) for each in [*asked, sample]):
                asked.append(sample)
        query += [sample for sample in own if sample in asked]
        gallery += [sample for sample in own if sample not in asked]
    return tuple(query), tuple(gallery)


def _answered(query: Sample, own: Sequence[Sample], asked: Sequence[Sample]) -> bool:
    others = (sample for sample in own if sample not in asked)
    return any(query.camera is None or sample.camera != query.camera for sample in others)


def folders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted by name. Raises DataError."""
    return [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]


def image_files(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by name. Raises DataError."""
    return [path for path in _entries(folder) if is_image_name(path.name) and not path.is_dir()]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
