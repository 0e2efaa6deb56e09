"""Confidence intervals of scores, and paired comparison of two models, by bootstrap over persons.

Images of one person resemble each other, so queries are not independent, and resampling queries would give intervals
that are too narrow. Persons are drawn with replacement, each with all their queries (a cluster bootstrap: Davison and
Hinkley, "Bootstrap Methods and their Application", 1997); the gallery stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring.labelled import ScoringError
from vitreid.scoring.metrics import QueryScores

RESAMPLES = 2000
CONFIDENCE = 0.95
DRAWS_AT_ONCE = 4_000_000  # 32 MB of counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A score and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """The difference of the scores of two models, and the share of resamples in which it is below zero."""

    below_zero: float


def score_intervals(scores: QueryScores, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Return the intervals of all measures by name.

    Raises ScoringError if the queries show a single person.
    """
    measures = scores.measures()
    means, drawn = _means(scores.persons, np.stack(list(measures.values()), 1), resamples, seed)
    rows = np.stack([means, *limits(drawn)], 1).tolist()
    return {name: Interval(*row) for name, row in zip(measures, rows, strict=True)}


def compare_scores(
    first: QueryScores, second: QueryScores, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Return `first` minus `second` for all measures, on the same resamples of persons.

    Raises ScoringError if the scores are of different queries, or if the queries show a single person.
    """
    if not (np.array_equal(first.rows, second.rows) and np.array_equal(first.persons, second.persons)):
        raise ScoringError("the two models were not scored on the same queries; score both on one data set")
    ones, others = first.measures(), second.measures()
    differences = np.stack([ones[name] - others[name] for name in ones], 1)
    means, drawn = _means(first.persons, differences, resamples, seed)
    rows = np.stack([means, *limits(drawn), (drawn < 0).mean(0)], 1).tolist()
    return {name: Difference(*row) for name, row in zip(ones, rows, strict=True)}


def limits(drawn: Floats) -> Floats:
    """Return the lower and upper ends (2, ...) of the middle 95 % of resamples (R, ...)."""
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(drawn, [tail, 1 - tail], axis=0)


def _means(persons: NDArray[np.generic], values: Floats, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Return the means (M,) of values (S, M) over queries, and those (R, M) in each resample of the persons (S,)."""
    names, numbers = np.unique(persons, return_inverse=True)
    count = len(names)
    if count < 2:
        raise ScoringError(f"the scored queries show {count} person; an interval needs the queries of at least two")
    sums = np.stack([np.bincount(numbers, column) for column in values.T], 1)
    sizes = np.bincount(numbers)
    random = np.random.default_rng(seed)
    parts = []
    step = max(1, DRAWS_AT_ONCE // count)
    for start in range(0, resamples, step):
        times = random.multinomial(count, np.full(count, 1 / count), min(step, resamples - start))
        parts.append(times @ sums / (times @ sizes)[:, None])
    return values.mean(0), np.concatenate(parts)
