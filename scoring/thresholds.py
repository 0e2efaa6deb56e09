"""RateThresholds for allowed false match rates, with confidence intervals of the rates.

By ISO/IEC 19795-1: the false match rate is the share of pairs of different persons that score at or above the
threshold, the true match rate that share of the pairs of one person. Each threshold is the lowest score with at most
the allowed false match rate on the data.

The intervals of both rates at that score are by bootstrap over persons as in `intervals`: persons are drawn with
replacement, with all their images, so the weight of a pair of different persons is the product of their two counts.
Persons without a query are not resampled.
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
    PairTotals,
    counts_by_cameras,
    lower_edge,
    same_person_pairs,
)

RATES = (0.01, 0.001, 0.0001)
MIN_FALSE_MATCHES = 10
"""Expected false matches that a rate needs: fewer could as well be half or twice as many by chance."""


@dataclass(frozen=True)
class RateThreshold:
    """A score, and the rates of false and true matches at or above it."""

    false_match_rate: float
    """The allowed rate."""
    score: float
    false_matches: Interval
    true_matches: Interval


@dataclass(frozen=True)
class RateThresholds:
    """RateThresholds for pairs between two cameras, or for all pairs."""

    cameras: Cameras | None
    pairs: PairTotals
    at: tuple[RateThreshold, ...]
    unmeasured_rates: tuple[float, ...]
    """Rates that these pairs are too few to measure."""


@dataclass
class _Hits:
    """Numbers of pairs at or above a bin: of one person (P,), of two persons (P + 1, P + 1)."""

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
        persons = one[different] % size, other[different] % size
        self.different += coo_array((np.ones(len(persons[0])), persons), shape=(size, size)).tocsr()


def find_thresholds(
    images: Images, *, rates: Sequence[float] = RATES, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[PairCounts, list[RateThresholds]]:
    """Return the counts of all pairs, and thresholds for all pairs first, then for each two cameras with a person."""
    total = PairCounts.none()
    firsts: dict[Cameras | None, dict[float, int]] = {}
    for two, counts in counts_by_cameras(images):
        total += counts
        firsts[two] = threshold_bins(counts, rates)
    firsts[None] = threshold_bins(total, rates)
    found = []
    for cameras, hits in _hits(images, firsts):
        tallies = images.tallies(images.camera_names() if cameras is None else cameras)
        draws = _draws(tallies, resamples, seed)
        by_rate = dict(zip(firsts[cameras], hits, strict=True))
        at = tuple(_threshold(rate, each, tallies, draws) for rate, each in by_rate.items())
        unmeasured = tuple(rate for rate in rates if rate not in by_rate)
        found.append(RateThresholds(cameras, _pair_numbers(tallies), at, unmeasured))
    return total, [each for each in (found[-1], *found[:-1]) if each.pairs.same]


def threshold_bins(counts: PairCounts, rates: Sequence[float]) -> dict[float, int]:
    """Return, for each measurable rate, the first bin with at most that share of the different pairs at or above it."""
    above = np.append(np.cumsum(counts.different[::-1])[::-1], 0)
    enough = [rate for rate in rates if counts.same.any() and rate * above[0] >= MIN_FALSE_MATCHES]
    return {rate: int(np.argmax(above <= rate * above[0] + 1e-9)) for rate in enough}


def _hits(
    images: Images, firsts: dict[Cameras | None, dict[float, int]]
) -> Iterator[tuple[Cameras | None, list[_Hits]]]:
    """Yield the pairs at or above the bins of each pair of cameras, and finally of all cameras."""
    overall = [_Hits.none(first, images.person_count) for first in firsts[None].values()]
    for cameras, blocks in groupby(images.blocks(), lambda block: block.cameras):
        own = [_Hits.none(first, images.person_count) for first in firsts[cameras].values()]
        for block in blocks:
            if own or overall:
                _add(block, [*own, *overall])
        yield cameras, own
    yield None, overall


def _add(block: PairBlock, every: Sequence[_Hits]) -> None:
    rows, columns = np.nonzero(block.bins >= min(hits.first for hits in every))
    for hits in every:
        hits.add(block.bins[rows, columns], block.rows[rows], block.columns[columns])


def _pair_numbers(tallies: Ints) -> PairTotals:
    own = same_person_pairs(tallies)[:-1]
    everyone = np.ones((1, tallies.shape[1]))
    return PairTotals(int(np.count_nonzero(own)), int(own.sum()), int(_different(tallies, everyone)[0]))


def _different(tallies: Ints, weights: Floats) -> Floats:
    """Return the number of pairs of different persons (R,), each weighted by `weights` (R, P + 1) of both persons."""
    by_camera = weights @ tallies.T
    every = (by_camera.sum(1) ** 2 - (by_camera**2).sum(1)) / 2
    return np.asarray(every - weights**2 @ same_person_pairs(tallies))


def _draws(tallies: Ints, resamples: int, seed: int) -> Floats:
    """Return the weights of the persons (1 + R, P + 1): 1 in the first row, then their counts in each resample."""
    seen = np.flatnonzero(tallies[:, :-1].any(0))
    draws = np.zeros((1 + resamples, tallies.shape[1]))
    draws[0], draws[:, -1] = 1, 1
    random = np.random.default_rng(seed)
    draws[1:, seen] = random.multinomial(len(seen), np.full(len(seen), 1 / len(seen)), resamples)
    return draws


def _threshold(rate: float, hits: _Hits, tallies: Ints, draws: Floats) -> RateThreshold:
    matched = (hits.different.T @ draws.T).T
    false = _interval((matched * draws).sum(1), _different(tallies, draws))
    true = _interval(draws[:, :-1] @ hits.same, draws[:, :-1] @ same_person_pairs(tallies)[:-1])
    return RateThreshold(rate, lower_edge(hits.first), false, true)


def _interval(parts: Floats, wholes: Floats) -> Interval:
    """Return the interval of shares (1 + R,): the first one, and the range of the resamples that hold any pair."""
    there = wholes > 0
    own, *drawn = (parts[there] / wholes[there]).tolist()
    return Interval(own, *limits(np.array(drawn)).tolist())
