"""Thresholds for the share of false matches that is allowed, and how sure the rates at them are.

By ISO/IEC 19795-1: the false match rate is the share of pairs of different persons that score at or above the
threshold, the true match rate that share of the pairs of one person. Each threshold is the lowest score whose false
match rate on the data is not above the one allowed.

The intervals are those of both rates at that score, by bootstrap over persons as in `intervals`: persons are drawn with
replacement and bring all their images, so a pair of different persons counts as often as both of them are drawn.
Persons whom no query shows stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy.sparse import coo_array, csr_array

from vitreid.scoring.intervals import RESAMPLES, Interval, limits
from vitreid.scoring.pairs import (
    NOBODY,
    Cameras,
    Floats,
    Images,
    Ints,
    PairBlock,
    PairCounts,
    PairNumbers,
    counts_by_cameras,
    edge,
    own_pairs,
)

RATES = (0.01, 0.001, 0.0001)
FEWEST_FALSE = 10
"""A rate is told only where so many false matches are expected: fewer could as well be half or twice as many."""


@dataclass(frozen=True)
class Threshold:
    """A score, and the shares of the pairs of different persons and of one person at or above it."""

    false_match_rate: float
    """What was allowed."""
    score: float
    false_matches: Interval
    true_matches: Interval


@dataclass(frozen=True)
class Thresholds:
    """Thresholds for the pairs between two cameras, or for all pairs."""

    cameras: Cameras | None
    pairs: PairNumbers
    at: tuple[Threshold, ...]
    unmeasured_rates: tuple[float, ...]
    """Rates that these pairs are too few to tell."""


@dataclass
class _Hits:
    """Pairs at or above a bin: of one person (P,), and of different ones by both persons (P + 1, P + 1)."""

    first: int
    same: Floats
    different: csr_array

    @classmethod
    def none(cls, first: int, persons: int) -> _Hits:
        return cls(first, np.zeros(persons), csr_array((persons + 1, persons + 1)))

    def add(self, bins: Ints, one: Ints, other: Ints) -> None:
        """Count pairs (N,) of the persons `one` and `other`."""
        above = (bins >= self.first) & ((one != NOBODY) | (other != NOBODY))
        same = above & (one == other)
        self.same += np.bincount(one[same], minlength=len(self.same))
        size = len(self.same) + 1
        different = above & ~same
        places = one[different] % size, other[different] % size
        self.different += coo_array((np.ones(len(places[0])), places), shape=(size, size)).tocsr()


def find_thresholds(
    images: Images, *, rates: Sequence[float] = RATES, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[PairCounts, list[Thresholds]]:
    """All pairs by score; and thresholds, for all pairs first and then for each two cameras that saw one person."""
    total = PairCounts.none()
    firsts: dict[Cameras | None, dict[float, int]] = {}
    for two, counts in counts_by_cameras(images):
        total += counts
        firsts[two] = first_bins(counts, rates)
    firsts[None] = first_bins(total, rates)
    found = []
    for cameras, hits in _hits(images, firsts):
        tallies = images.tallies(images.camera_names() if cameras is None else cameras)
        draws = _draws(tallies, resamples, seed)
        told = dict(zip(firsts[cameras], hits, strict=True))
        at = tuple(_threshold(rate, each, tallies, draws) for rate, each in told.items())
        found.append(Thresholds(cameras, _numbers(tallies), at, tuple(rate for rate in rates if rate not in told)))
    return total, [each for each in (found[-1], *found[:-1]) if each.pairs.same]


def first_bins(counts: PairCounts, rates: Sequence[float]) -> dict[float, int]:
    """For each rate that the pairs can tell: the first bin from which on no larger share of the different ones lies."""
    above = np.append(np.cumsum(counts.different[::-1])[::-1], 0)
    enough = [rate for rate in rates if counts.same.any() and rate * above[0] >= FEWEST_FALSE]
    return {rate: int(np.argmax(above <= rate * above[0] + 1e-9)) for rate in enough}


def _hits(
    images: Images, firsts: dict[Cameras | None, dict[float, int]]
) -> Iterator[tuple[Cameras | None, list[_Hits]]]:
    """What is at or above the bins of each two cameras, and at last of all."""
    overall = [_Hits.none(first, images.count) for first in firsts[None].values()]
    for cameras, blocks in groupby(images.blocks(), lambda block: block.cameras):
        own = [_Hits.none(first, images.count) for first in firsts[cameras].values()]
        for block in blocks:
            if own or overall:
                _add(block, [*own, *overall])
        yield cameras, own
    yield None, overall


def _add(block: PairBlock, every: Sequence[_Hits]) -> None:
    rows, columns = np.nonzero(block.bins >= min(hits.first for hits in every))
    for hits in every:
        hits.add(block.bins[rows, columns], block.rows[rows], block.columns[columns])


def _numbers(tallies: Ints) -> PairNumbers:
    own = own_pairs(tallies)[:-1]
    everyone = np.ones((1, tallies.shape[1]))
    return PairNumbers(int(np.count_nonzero(own)), int(own.sum()), int(_different(tallies, everyone)[0]))


def _different(tallies: Ints, weights: Floats) -> Floats:
    """Pairs of different persons (R,), counted as often as `weights` (R, P + 1) say that both are there."""
    by_camera = weights @ tallies.T
    every = (by_camera.sum(1) ** 2 - (by_camera**2).sum(1)) / 2
    return np.asarray(every - weights**2 @ own_pairs(tallies))


def _draws(tallies: Ints, resamples: int, seed: int) -> Floats:
    """How often each person counts (1 + R, P + 1): as they are, and then in each resample of those who were seen."""
    seen = np.flatnonzero(tallies[:, :-1].any(0))
    draws = np.zeros((1 + resamples, tallies.shape[1]))
    draws[0], draws[:, -1] = 1, 1
    random = np.random.default_rng(seed)
    draws[1:, seen] = random.multinomial(len(seen), np.full(len(seen), 1 / len(seen)), resamples)
    return draws


def _threshold(rate: float, hits: _Hits, tallies: Ints, draws: Floats) -> Threshold:
    matched = (hits.different.T @ draws.T).T
    false = _interval((matched * draws).sum(1), _different(tallies, draws))
    true = _interval(draws[:, :-1] @ hits.same, draws[:, :-1] @ own_pairs(tallies)[:-1])
    return Threshold(rate, edge(hits.first), false, true)


def _interval(parts: Floats, wholes: Floats) -> Interval:
    """Of the shares (1 + R,): the data's own, and what the resamples span that hold any pair at all."""
    there = wholes > 0
    own, *drawn = (parts[there] / wholes[there]).tolist()
    return Interval(own, *limits(np.array(drawn)).tolist())
