"""Pairs of images by two different cameras, and how often each score occurs among them.

Images of query and gallery are paired alike. Pairs by one camera are left out, as nothing but its background may make
them alike, and so are pairs of two persons whom no query shows: nobody says whether distractors are one person.

There are as many pairs as the square of the images, 180 million in Market-1501's test part. Scores are therefore
counted in bins of 0.0001 and never kept: memory holds a block of scores and what is counted of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring.labelled import Labelled, ScoringError, as_numbers

BINS = 20_000
SCORES_AT_ONCE = 4_000_000  # 16 MB of float32, and 32 MB of their bins
NOBODY = -1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Cameras = tuple[str, str]


@dataclass(frozen=True)
class PairNumbers:
    """Pairs that show one person, pairs that show two, and the persons of the former."""

    persons: int
    same: int
    different: int


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Pairs of one person and of different persons by the bin of their score, (BINS,) each."""

    same: Ints
    different: Ints

    @classmethod
    def none(cls) -> PairCounts:
        """No pair yet."""
        return cls(*np.zeros((2, BINS), np.int64))

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts(self.same + other.same, self.different + other.different)


@dataclass(frozen=True, eq=False)
class PairBlock:
    """Images by a camera against images by another: bins of their scores (M, N), and persons (M,) and (N,)."""

    cameras: Cameras
    bins: Ints
    rows: Ints
    columns: Ints

    def same(self) -> NDArray[np.bool_]:
        """Which pairs (M, N) show one person."""
        return np.equal.outer(self.rows, self.columns) & np.not_equal(self.rows, NOBODY)[:, None]

    def counts(self) -> PairCounts:
        """How often each bin occurs."""
        same = _counted(self.bins[self.same()])
        unsaid = _counted(self.bins[np.ix_(self.rows == NOBODY, self.columns == NOBODY)])
        return PairCounts(same, _counted(self.bins) - same - unsaid)


@dataclass(frozen=True, eq=False)
class Images:
    """Unit embeddings (N, D), persons (N,) as 0.. where a query shows them and NOBODY elsewhere, and cameras (N,)."""

    embeddings: NDArray[np.float32]
    persons: Ints
    cameras: NDArray[np.str_]

    @classmethod
    def of(cls, query: Labelled, gallery: Labelled) -> Images:
        """Queries and gallery as one. Raises ScoringError for a single camera."""
        asked, offered = as_numbers(query.persons, gallery.persons)
        sought, numbers = np.unique(asked, return_inverse=True)
        place = np.minimum(np.searchsorted(sought, offered), len(sought) - 1)
        cameras = np.concatenate([query.cameras, gallery.cameras]).astype(np.str_)
        if len(np.unique(cameras)) < 2:
            raise ScoringError(
                f"all {len(cameras)} images are by the camera {cameras[0]}; pairs are made across cameras, so give "
                "images by at least two"
            )
        return cls(
            np.concatenate([query.embeddings, gallery.embeddings]),
            np.concatenate([numbers, np.where(sought[place] == offered, place, NOBODY)]).astype(np.int64),
            cameras,
        )

    @property
    def count(self) -> int:
        """Sought persons."""
        return int(self.persons.max()) + 1

    def only(self, persons: NDArray[np.integer]) -> Images:
        """The images of some of the sought persons."""
        chosen = np.isin(self.persons, persons)
        return Images(self.embeddings[chosen], self.persons[chosen], self.cameras[chosen])

    def camera_names(self) -> list[str]:
        """The cameras, c2 before c10."""
        return sorted(set(self.cameras.tolist()), key=lambda name: (len(name), name))

    def tallies(self, cameras: Sequence[str]) -> Ints:
        """How many images each of some cameras has of each person (C, persons + 1); the last column is NOBODY."""
        size = self.count + 1
        return np.stack([np.bincount(self.persons[self.cameras == name] % size, minlength=size) for name in cameras])

    def numbers(self, counts: PairCounts) -> PairNumbers:
        """How many pairs these are, and the persons of those that show one."""
        persons = int(np.count_nonzero(own_pairs(self.tallies(self.camera_names()))[:-1]))
        return PairNumbers(persons, int(counts.same.sum()), int(counts.different.sum()))

    def blocks(self) -> Iterator[PairBlock]:
        """Every pair by two cameras once, block by block, two cameras after the other."""
        names = self.camera_names()
        places = {name: np.flatnonzero(self.cameras == name) for name in names}
        for one, other in combinations(names, 2):
            columns = places[other]
            step = max(1, SCORES_AT_ONCE // len(columns))
            for start in range(0, len(places[one]), step):
                rows = places[one][start : start + step]
                scores = self.embeddings[rows] @ self.embeddings[columns].T
                yield PairBlock((one, other), bins_of(scores), self.persons[rows], self.persons[columns])


def counts_by_cameras(images: Images) -> Iterator[tuple[Cameras, PairCounts]]:
    """The pairs between two cameras, for each two."""
    for cameras, blocks in groupby(images.blocks(), lambda block: block.cameras):
        yield cameras, sum((block.counts() for block in blocks), PairCounts.none())


def count_pairs(images: Images) -> PairCounts:
    """All pairs."""
    return sum((counts for _, counts in counts_by_cameras(images)), PairCounts.none())


def own_pairs(tallies: Ints) -> Ints:
    """Of images by camera and person (C, P): the pairs of one person by two cameras (P,)."""
    return np.asarray((tallies.sum(0) ** 2 - (tallies**2).sum(0)) // 2)


def bins_of(scores: NDArray[np.float32]) -> Ints:
    """The bin of each score; -1 and 1 lie within the first and the last one."""
    return np.asarray(np.clip((scores + 1) * (BINS / 2), 0, BINS - 1), dtype=np.int64)


def edge(place: int) -> float:
    """The lowest score of a bin."""
    return round(place * 2 / BINS - 1, 4)


def centres() -> Floats:
    """The score in the middle of each bin (BINS,)."""
    return np.linspace(-1, 1, 2 * BINS + 1, dtype=np.float64)[1::2]


def _counted(bins: Ints) -> Ints:
    return np.bincount(bins.ravel(), minlength=BINS)
