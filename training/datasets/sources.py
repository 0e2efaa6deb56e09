"""Several data sets as one for training, and another one to be scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.datasets.registry import DATASETS, read_dataset
from vitreid.training.datasets.split import Sample, Split
from vitreid.training.errors import DataError


@dataclass(frozen=True)
class Source:
    """Where a data set lies and how it is laid out."""

    dataset: str
    path: Path

    pattern: NamePattern | None = None
    """How names of files and folders are read, where the layout leaves that open."""

    @classmethod
    def parse(cls, text: str, dataset: str | None = None, pattern: NamePattern | None = None) -> Source:
        """Read `NAME=DIR`, or `DIR` alone for the layout `dataset`.

        Without either a file is a table, names by a pattern are in `folders`, and the rest is `market1501`.
        """
        name, equals, path = text.partition("=")
        if equals and "/" not in name and (name in DATASETS or not Path(text).exists()):
            return cls(name, Path(path), pattern)
        usual = "table" if Path(text).is_file() else "folders" if pattern else "market1501"
        return cls(dataset or usual, Path(text), pattern)

    @property
    def name(self) -> str:
        """What it is called in a run: its folder's or file's name."""
        return self.path.resolve().name

    def read(self) -> Split:
        """Its samples. Raises DataError."""
        return read_dataset(self.dataset, self.path, self.pattern)


@dataclass(frozen=True)
class Sources:
    """The data of a run: what it trains on, and the data set it is scored on where that is another one.

    With more than one data set persons and cameras are called `NAME/PERSON` and `NAME/CAMERA`, so that equal numbers
    do not become one person, and the cameras of a test on other data are unknown to the model.
    """

    train: tuple[Source, ...]
    test: Source | None = None

    @classmethod
    def parse(
        cls, train: Sequence[str], test: str | None, dataset: str | None, pattern: NamePattern | None = None
    ) -> Sources:
        """Read what the options --data and --test say; `dataset` is the layout where they name none."""
        tested = None if test is None else Source.parse(test, dataset, pattern)
        return cls(tuple(Source.parse(text, dataset, pattern) for text in train), tested)

    @property
    def name(self) -> str:
        """What the data are called in a checkpoint."""
        trained = "+".join(source.name for source in self.train)
        return trained if self.test is None else f"{trained}, tested on {self.test.name}"

    @property
    def dataset(self) -> str:
        """The layouts of what is trained on."""
        return "+".join(source.dataset for source in self.train)

    def read(self) -> Split:
        """All samples. Raises DataError where a data set cannot be read and where two have one name."""
        if len(self.train) == 1 and self.test is None:
            return self.train[0].read()
        trained = {source.path.resolve() for source in self.train}
        others = [self.test] if self.test and self.test.path.resolve() not in trained else []
        names = Counter(source.name for source in (*self.train, *others))
        if twice := [name for name, count in names.items() if count > 1]:
            raise DataError(
                f"two data sets are called {twice[0]}, and so would be their persons and cameras; rename a folder"
            )
        parts = [_prefixed(source.read(), source.name) for source in self.train]
        tests = parts if self.test is None else [_prefixed(self.test.read(), self.test.name)]
        return Split(
            train=tuple(sample for part in parts for sample in part.train),
            query=tuple(sample for part in tests for sample in part.query),
            gallery=tuple(sample for part in tests for sample in part.gallery),
            left_out=tuple(each for part in (*parts, *(tests if self.test else ())) for each in part.left_out),
        )


def _prefixed(split: Split, name: str) -> Split:
    def named(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        return tuple(
            replace(each, person=f"{name}/{each.person}", camera=each.camera and f"{name}/{each.camera}")
            for each in samples
        )

    return Split(named(split.train), named(split.query), named(split.gallery), left_out=split.left_out)
