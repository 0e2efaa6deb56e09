"""Pairs of images from two different cameras, and histograms of their scores.

Images of query and gallery are paired in the same way. Pairs from one camera are excluded, since they may be similar by
their background alone. So are pairs of two persons without a query: distractors may or may not be one person.

The number of pairs grows with the square of the images, to 180 million in Market-1501's test part. Scores are therefore
counted in bins of 0.0001 and not stored: memory holds one block of scores and the counts.
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
class PairTotals:
    """Numbers of pairs that show one person and two persons, and of the persons of the former."""

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
        """Return counts of zero."""
        return cls(*np.zeros((2, BINS), np.int64))

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts(self.same + other.same, self.different + other.different)


@dataclass(frozen=True, eq=False)
class PairBlock:
    """Images of one camera against images of another: bins of their scores (M, N), and persons (M,) and (N,)."""

    cameras: Cameras
    bins: Ints
    rows: Ints
    columns: Ints

    def same(self) -> NDArray[np.bool_]:
        """Return the mask (M, N) of pairs that show one person."""
        return np.equal.outer(self.rows, self.columns) & np.not_equal(self.rows, NOBODY)[:, None]

    def counts(self) -> PairCounts:
        """Count the pairs in each bin."""
        same = _counted(self.bins[self.same()])
        unlabelled = _counted(self.bins[np.ix_(self.rows == NOBODY, self.columns == NOBODY)])
        return PairCounts(same, _counted(self.bins) - same - unlabelled)


@dataclass(frozen=True, eq=False)
class Images:
    """Unit embeddings (N, D), persons (N,) as integers from 0 (NOBODY for persons without a query), cameras (N,)."""

    embeddings: NDArray[np.float32]
    persons: Ints
    cameras: NDArray[np.str_]

    @classmethod
    def of(cls, query: Labelled, gallery: Labelled) -> Images:
        """Merge queries and gallery. Raises ScoringError for a single camera."""
        query_persons, gallery_persons = as_numbers(query.persons, gallery.persons)
        known, numbers = np.unique(query_persons, return_inverse=True)
        nearest = np.minimum(np.searchsorted(known, gallery_persons), len(known) - 1)
        cameras = np.concatenate([query.cameras, gallery.cameras]).astype(np.str_)
        if len(np.unique(cameras)) < 2:
            raise ScoringError(
                f"all {len(cameras)} images are from camera {cameras[0]}; pairs need two cameras; give images from at "
                "least two"
            )
        return cls(
            np.concatenate([query.embeddings, gallery.embeddings]),
            np.concatenate([numbers, np.where(known[nearest] == gallery_persons, nearest, NOBODY)]).astype(np.int64),
            cameras,
        )

    @property
    def person_count(self) -> int:
        """The number of persons with a query."""
        return int(self.persons.max()) + 1

    def of_persons(self, persons: NDArray[np.integer]) -> Images:
        """Return the images of these persons."""
        chosen = np.isin(self.persons, persons)
        return Images(self.embeddings[chosen], self.persons[chosen], self.cameras[chosen])

    def camera_names(self) -> list[str]:
        """Return the cameras, c2 before c10."""
        return sorted(set(self.cameras.tolist()), key=lambda name: (len(name), name))

    def tallies(self, cameras: Sequence[str]) -> Ints:
        """Return the number of images by camera and person (C, persons + 1); the last column is NOBODY."""
        size = self.person_count + 1
        return np.stack([np.bincount(self.persons[self.cameras == name] % size, minlength=size) for name in cameras])

    def pair_numbers(self, counts: PairCounts) -> PairTotals:
        """Return the numbers of these pairs, and of the persons with pairs."""
        persons = int(np.count_nonzero(same_person_pairs(self.tallies(self.camera_names()))[:-1]))
        return PairTotals(persons, int(counts.same.sum()), int(counts.different.sum()))

    def blocks(self) -> Iterator[PairBlock]:
        """Yield every pair from two cameras once, in blocks, ordered by pair of cameras."""
        names = self.camera_names()
        rows_by_camera = {name: np.flatnonzero(self.cameras == name) for name in names}
        for one, other in combinations(names, 2):
            columns = rows_by_camera[other]
            step = max(1, SCORES_AT_ONCE // len(columns))
            for start in range(0, len(rows_by_camera[one]), step):
                rows = rows_by_camera[one][start : start + step]
                scores = self.embeddings[rows] @ self.embeddings[columns].T
                yield PairBlock((one, other), bins_of(scores), self.persons[rows], self.persons[columns])


def counts_by_cameras(images: Images) -> Iterator[tuple[Cameras, PairCounts]]:
    """Yield the pairs of each pair of cameras."""
    for cameras, blocks in groupby(images.blocks(), lambda block: block.cameras):
        yield cameras, sum((block.counts() for block in blocks), PairCounts.none())


def count_pairs(images: Images) -> PairCounts:
    """Count all pairs."""
    return sum((counts for _, counts in counts_by_cameras(images)), PairCounts.none())


def same_person_pairs(tallies: Ints) -> Ints:
    """Return the number of pairs of each person from two cameras (P,), from images by camera and person (C, P)."""
    return np.asarray((tallies.sum(0) ** 2 - (tallies**2).sum(0)) // 2)


def bins_of(scores: NDArray[np.float32]) -> Ints:
    """Return the bin of each score; -1 and 1 are in the first and the last one."""
    return np.asarray(np.clip((scores + 1) * (BINS / 2), 0, BINS - 1), dtype=np.int64)


def lower_edge(index: int) -> float:
    """Return the lowest score of a bin."""
    return round(index * 2 / BINS - 1, 4)


def bin_centres() -> Floats:
    """Return the score in the middle of each bin (BINS,)."""
    return np.linspace(-1, 1, 2 * BINS + 1, dtype=np.float64)[1::2]


def _counted(bins: Ints) -> Ints:
    return np.bincount(bins.ravel(), minlength=BINS)
