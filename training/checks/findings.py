"""Each check looks for one kind of fault and names its cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitreid.training.checks.near_duplicates import near
from vitreid.training.checks.published import Published
from vitreid.training.checks.scan import Scan
from vitreid.training.datasets import Sample, Split
from vitreid.training.datasets.warnings import before_one_camera, with_one_image, without_match

MIN_SIDE = 20  # pixels
ODD = 2.0  # times the data set's median aspect ratio, or its inverse

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Checked:
    """A data set, its images' scan in the order train, query, gallery, and what it should hold, if that is known."""

    split: Split
    scan: Scan
    published: tuple[Published, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All of them, in the order of the scan."""
        return (*self.split.train, *self.split.query, *self.split.gallery)

    @property
    def of_train(self) -> int:
        """How many come first because they train."""
        return len(self.split.train)


@dataclass(frozen=True)
class Check:
    """What a fault means, to be read after a number, and how its cases are found."""

    level: Level
    message: str
    cases: Callable[[Checked], list[str]]


@dataclass(frozen=True)
class Finding:
    """A fault that a data set has, and all its cases."""

    kind: str
    level: Level
    message: str
    cases: tuple[str, ...]


def check(split: Split, scan: Scan, published: Sequence[Published] = ()) -> list[Finding]:
    """All that is wrong, errors first. Without `published` its numbers are not compared."""
    checked = Checked(split, scan, tuple(published))
    found = []
    for kind, each in CHECKS.items():
        if cases := each.cases(checked):
            found.append(Finding(kind, each.level, each.message, tuple(cases)))
    return sorted(found, key=lambda finding: finding.level)


def unreadable(checked: Checked) -> list[str]:
    """Files that are missing, damaged or no images."""
    return list(checked.scan.failures.values())


def shared_persons(checked: Checked) -> list[str]:
    """Persons who train and are in the test."""
    samples = checked.samples
    trained, tested = samples[: checked.of_train], samples[checked.of_train :]
    return sorted({sample.person for sample in trained} & {sample.person for sample in tested})


def same_in_train_and_test(checked: Checked) -> list[str]:
    """Files of train and test with the same bytes."""
    return [
        f"{_example(same[0])} = {_example(next(s for i, s in group if i >= checked.of_train))}"
        for group in _equal(checked)
        if (same := [s for i, s in group if i < checked.of_train]) and len(same) < len(group)
    ]


def two_persons(checked: Checked) -> list[str]:
    """Files with the same bytes whose names or labels tell different persons."""
    cases = []
    for group in _equal(checked):
        first = group[0][1]
        if other := next((sample for _, sample in group if sample.person != first.person), None):
            cases.append(f"{_example(first)} is {first.person}, {_example(other)} is {other.person}")
    return cases


def answered_by_itself(checked: Checked) -> list[str]:
    """Queries whose own file is an answer: it is in the gallery, and not left out as one by the query's camera."""
    gallery = checked.of_train + len(checked.split.query)
    cases = []
    for group in _equal(checked):
        for query in (sample for i, sample in group if checked.of_train <= i < gallery):
            others = (sample for i, sample in group if i >= gallery and sample.person == query.person)
            answers = (sample for sample in others if query.camera is None or sample.camera != query.camera)
            if (answer := next(answers, None)) is not None:
                cases.append(f"{_example(query)} = {_example(answer)}")
    return cases


def wrong_counts(checked: Checked) -> list[str]:
    """Parts that have not as many images and persons as any published version."""
    versions = [(published, _differences(checked.split, published)) for published in checked.published]
    return min((cases for _, cases in versions), key=len, default=[])


def near_duplicates(checked: Checked) -> list[str]:
    """Images of the test that look like one of train, without having the same bytes."""
    samples, scan = checked.samples, checked.scan
    readable = scan.sizes[:, 0] > 0
    train = np.flatnonzero(readable[: checked.of_train])
    test = checked.of_train + np.flatnonzero(readable[checked.of_train :])
    pairs = [(train[i], j) for i, j in zip(near(scan.hashes[train], scan.hashes[test]), test, strict=True) if i >= 0]
    return [f"{_example(samples[i])} ~ {_example(samples[j])}" for i, j in pairs if scan.digests[i] != scan.digests[j]]


def copies(checked: Checked) -> list[str]:
    """Training images that are there more than once."""
    groups = ([sample for i, sample in group if i < checked.of_train] for group in _equal(checked))
    return [" = ".join(map(_example, group)) for group in groups if len(group) > 1]


def one_image(checked: Checked) -> list[str]:
    """Training persons with a single image."""
    return with_one_image(checked.split.train)


def one_camera(checked: Checked) -> list[str]:
    """Training persons seen by a single camera."""
    return before_one_camera(checked.split.train)


def unanswerable(checked: Checked) -> list[str]:
    """Queries that no other camera's image answers."""
    return [_example(sample) for sample in without_match(checked.split)] if checked.split.gallery else []


def no_camera(checked: Checked) -> list[str]:
    """Images whose camera is unknown."""
    return [_example(sample) for sample in checked.samples if sample.camera is None]


def tiny(checked: Checked) -> list[str]:
    """Images with a side below MIN_SIDE."""
    sides = checked.scan.sizes.min(1)
    return _sized(checked, np.flatnonzero((sides > 0) & (sides < MIN_SIDE)))


def odd(checked: Checked) -> list[str]:
    """Images far taller or wider than the others."""
    places = np.flatnonzero(checked.scan.sizes[:, 0])
    if not len(places):
        return []
    height, width = checked.scan.sizes[places].T
    ratio = np.log(height / width)
    return _sized(checked, places[np.abs(ratio - np.median(ratio)) > np.log(ODD)])


CHECKS: dict[str, Check] = {
    "unreadable": Check("error", "images cannot be read", unreadable),
    "shared_persons": Check(
        "error", "persons in train and in the test, whose scores are then too good", shared_persons
    ),
    "same_in_train_and_test": Check("error", "files in train and, byte for byte, in the test", same_in_train_and_test),
    "two_persons": Check("error", "files are, byte for byte, two persons", two_persons),
    "answered_by_itself": Check("error", "queries find themselves in the gallery", answered_by_itself),
    "counts": Check("error", "numbers are not those published", wrong_counts),
    "near_duplicates": Check("warning", "images of the test look like one of train", near_duplicates),
    "copies": Check("warning", "training images are there more than once", copies),
    "one_image": Check("warning", "training persons have one image, to be pulled nowhere", one_image),
    "one_camera": Check("warning", "training persons seen by one camera only", one_camera),
    "unanswerable": Check("warning", "queries without their person by another camera: they do not count", unanswerable),
    "no_camera": Check("warning", "images tell no camera: each counts as by one of its own", no_camera),
    "tiny": Check("warning", f"images with a side of less than {MIN_SIDE} pixels", tiny),
    "odd": Check("warning", f"images more than {ODD:g} times as tall or as wide as the others", odd),
}
"""By kind, the worst first."""


def _example(sample: Sample) -> str:
    """An image by its folder and name."""
    return str(Path(*sample.path.parts[-2:]))


def _sized(checked: Checked, places: NDArray[np.int64]) -> list[str]:
    samples = checked.samples
    return [f"{_example(samples[i])}: {checked.scan.sizes[i][0]}x{checked.scan.sizes[i][1]}" for i in places]


def _equal(checked: Checked) -> list[list[tuple[int, Sample]]]:
    """Groups of samples, with their places, whose files have the same bytes."""
    groups: dict[bytes, list[tuple[int, Sample]]] = defaultdict(list)
    for i, (digest, sample) in enumerate(zip(checked.scan.digests, checked.samples, strict=True)):
        if digest:
            groups[digest].append((i, sample))
    return [group for group in groups.values() if len(group) > 1]


def _differences(split: Split, published: Published) -> list[str]:
    cases = []
    for part in ("train", "query", "gallery"):
        samples: tuple[Sample, ...] = getattr(split, part)
        found = (len(samples), len({sample.person for sample in samples}))
        expected: tuple[int, int] = getattr(published, part)
        cases += [
            f"{part}: {have:,} {what}, {published.name} has {want:,}"
            for have, want, what in zip(found, expected, ("images", "persons"), strict=True)
            if have != want
        ]
    return cases
