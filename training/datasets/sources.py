"""Several data sets as one for training, and another one to be scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.datasets.registry import read_dataset
from training.datasets.split import Sample, Split
from training.errors import DataError


@dataclass(frozen=True)
class Source:
    """Where a data set lies and how it is laid out."""

    dataset: str
    path: Path

    @classmethod
    def parse(cls, text: str, dataset: str) -> Source:
        """Read `NAME=DIR`, or `DIR` alone for the layout `dataset`."""
        name, equals, folder = text.partition("=")
        return cls(name, Path(folder)) if equals and "/" not in name else cls(dataset, Path(text))

    @property
    def name(self) -> str:
        """What it is called in a run: its folder's or file's name."""
        return self.path.resolve().name

    def read(self) -> Split:
        """Its samples. Raises DataError."""
        return read_dataset(self.dataset, self.path)


def read_sources(train: Sequence[Source], test: Source | None = None) -> Split:
    """Read data sets to train on together, scored on their own tests or on that of another one.

    With more than one of them persons and cameras are called `NAME/PERSON` and `NAME/CAMERA`, so that equal numbers
    do not become one person, and a test by cameras that were not learned finds them unknown.

    Raises DataError where a data set cannot be read and where two have one name.
    """
    if len(train) == 1 and test is None:
        return train[0].read()
    names = [source.name for source in train]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"two data sets are called {twice[0]}, so their persons cannot be told apart; rename a folder")
    parts = [_prefixed(source.read(), source.name) for source in train]
    tests = parts if test is None else [_prefixed(test.read(), test.name)]
    return Split(
        train=tuple(sample for part in parts for sample in part.train),
        query=tuple(sample for part in tests for sample in part.query),
        gallery=tuple(sample for part in tests for sample in part.gallery),
    )


def _prefixed(split: Split, name: str) -> Split:
    def named(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        return tuple(
            replace(each, person=f"{name}/{each.person}", camera=each.camera and f"{name}/{each.camera}")
            for each in samples
        )

    return Split(named(split.train), named(split.query), named(split.gallery))
