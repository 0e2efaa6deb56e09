"""Calibration of scores: log likelihood ratios of pairs of one person, and the quality of the probabilities.

The logarithm of the likelihood ratio is fitted as a function of the score, as knots with linear interpolation. Added to
the log odds of a prior, the share of pairs that show one person, it gives the log odds of a pair:

- isotonic: pool adjacent violators (Ayer et al., "An Empirical Distribution Function for Sampling with Incomplete
  Information", 1955); the likelihood ratios do not depend on the prior (Brümmer and du Preez, "The PAV Algorithm
  Optimizes Binary Proper Scoring Rules", 2013);
- logistic: a straight line (Platt, "Probabilistic Outputs for Support Vector Machines", 1999).

To claim nothing beyond the data, a pair of one person with the lowest score and a pair of different persons with the
highest one are added before the fit, so no number of pairs gives a probability of 0 or 1; and scores outside the
observed range get the value at its nearer end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from vitreid.scoring.labelled import ScoringError
from vitreid.scoring.pairs import Floats, Images, Ints, PairCounts, PairTotals, bin_centres, count_pairs

MIN_PAIRS = 10
EDGES = np.array([0, 0.001, 0.01, *np.arange(1, 10) / 10, 0.99, 1])

Knots = list[tuple[float, float]]
"""(score, log likelihood ratio), ascending in both."""


@dataclass(frozen=True)
class ProbabilityBin:
    """Pairs with a probability in [`low`, `high`): its mean, and the observed share of pairs of one person."""

    low: float
    high: float
    same: int
    different: int
    probability: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """Quality of probabilities; `base_...` are the values of always answering with the prior. Lower is better.

    Pairs are weighted so that pairs of one person have the share of the prior.
    """

    pairs: PairTotals
    log_loss: float  # nats
    base_log_loss: float
    brier: float
    base_brier: float
    calibration_error: float
    """Expected calibration error: the mean difference of probability and observed share of a bin, by its pairs."""
    bins: tuple[ProbabilityBin, ...]


@dataclass(frozen=True)
class Fit:
    """Knots fitted on all pairs, and the quality of such knots on held-out persons."""

    method: str
    prior: float
    knots: Knots
    held_out: Reliability
    log_loss_by_method: dict[str, float]
    """Log loss on held-out persons by method; it selects the method if none is given."""


def check_options(method: str | None, prior: float | None) -> None:
    """Raise ScoringError for an unknown method, or a prior that is not between 0 and 1."""
    if method is not None and method not in METHODS:
        raise ScoringError(f"there is no method {method!r}; take one of {', '.join(METHODS)}")
    if prior is not None and not 0 < prior < 1:
        raise ScoringError(f"prior {prior} is not between 0 and 1; give the share of pairs that show one person")


def fit_calibration(
    images: Images, counts: PairCounts, *, method: str | None = None, prior: float | None = None, seed: int = 0
) -> Fit:
    """Fit on all pairs; score the pairs in each random half of the persons by knots fitted on the other half.

    `counts` are those of all pairs; `prior` is by default their share of pairs of one person, `method` the one with the
    lowest log loss on held-out persons.

    Raises ScoringError like check_options, for too few pairs, and if pairs of one person do not score higher.
    """
    check_options(method, prior)
    order = np.random.default_rng(seed).permutation(images.person_count)
    halves = [_half(images, persons) for persons in np.array_split(order, 2)]
    share = float(counts.same.sum() / (counts.same.sum() + counts.different.sum())) if prior is None else prior
    found = {name: _held_out(name, halves, share) for name in ([method] if method else METHODS)}
    losses = {name: each.log_loss for name, each in found.items()}
    best = min(losses, key=lambda name: losses[name])
    return Fit(best, share, fit_knots(best, counts, share), found[best], losses)


def _half(images: Images, persons: Ints) -> tuple[PairTotals, PairCounts]:
    part = images.of_persons(persons)
    counts = count_pairs(part)
    found = part.pair_numbers(counts)
    if min(found.same, found.different) < MIN_PAIRS:
        raise ScoringError(
            f"half of the persons ({len(persons)}) have {found.same:,} pairs of one person from two cameras and "
            f"{found.different:,} of different persons; calibration needs {MIN_PAIRS} of each in each half; "
            "add images of more persons and cameras"
        )
    return found, counts


def _held_out(method: str, halves: Sequence[tuple[PairTotals, PairCounts]], prior: float) -> Reliability:
    (one, ones), (other, others) = halves
    ratios = [np.interp(bin_centres(), *np.array(fit_knots(method, counts, prior)).T) for counts in (others, ones)]
    pairs = PairTotals(one.persons + other.persons, one.same + other.same, one.different + other.different)
    every = PairCounts(np.append(ones.same, others.same), np.append(ones.different, others.different))
    return reliability(np.concatenate(ratios), every, prior, pairs)


def fit_knots(method: str, counts: PairCounts, prior: float) -> Knots:
    """Return the knots of a method in METHODS. Raises ScoringError if pairs of one person do not score higher."""
    occupied = np.flatnonzero(counts.same + counts.different)
    added = PairCounts.none()
    added.same[occupied[0]] = added.different[occupied[-1]] = 1
    weights = _weights(counts + added, prior)[:, occupied]
    knots = METHODS[method](bin_centres()[occupied], *weights) if len(occupied) > 1 else []
    if len(knots) < 2 or knots[-1][1] <= knots[0][1]:
        raise ScoringError(
            "pairs of one person do not score higher than pairs of different ones; check the labels and the model"
        )
    return [(round(score, 6), round(odds - float(logit(prior)), 6)) for score, odds in knots]


def reliability(ratios: Floats, counts: PairCounts, prior: float, pairs: PairTotals) -> Reliability:
    """Return the quality of the probabilities of log likelihood ratios (S,), for the pairs (S,) that have them."""
    odds = ratios + logit(prior)
    probabilities = expit(odds)
    same, different = _weights(counts, prior)
    bins = _bins(probabilities, counts, same, different)
    return Reliability(
        pairs=pairs,
        log_loss=float(same @ np.logaddexp(0, -odds) + different @ np.logaddexp(0, odds)),
        base_log_loss=float(-prior * np.log(prior) - (1 - prior) * np.log(1 - prior)),
        brier=float(same @ (1 - probabilities) ** 2 + different @ probabilities**2),
        base_brier=float(prior * (1 - prior)),
        calibration_error=sum(share * abs(each.probability - each.observed) for share, each in bins),
        bins=tuple(each for _, each in bins),
    )


def _bins(
    probabilities: Floats, counts: PairCounts, same: Floats, different: Floats
) -> list[tuple[float, ProbabilityBin]]:
    """Return the bins that hold pairs, each with its share of all pairs."""
    found = []
    for low, high in pairwise(EDGES.tolist()):
        inside = (low <= probabilities) & ((probabilities < high) | (high == 1))
        share = float((same + different)[inside].sum())
        if share:
            numbers = int(counts.same[inside].sum()), int(counts.different[inside].sum())
            means = float((same + different)[inside] @ probabilities[inside]) / share, float(same[inside].sum()) / share
            found.append((share, ProbabilityBin(low, high, *numbers, *means)))
    return found


def _weights(counts: PairCounts, prior: float) -> Floats:
    """Return the weights (2, S) of pairs (S,): those of one person sum to the prior, the others to 1 - prior."""
    return np.stack([prior * counts.same / counts.same.sum(), (1 - prior) * counts.different / counts.different.sum()])


def _isotonic(scores: Floats, same: Floats, different: Floats) -> Knots:
    """Return a knot for each pool: the mean score of its pairs, and their log odds."""
    weights = same + different
    starts = isotonic_regression(same / weights, weights=weights).blocks[:-1]
    pooled = (np.add.reduceat(column, starts) for column in (scores * weights, weights, same, different))
    sums, sizes, ones, others = pooled
    return list(zip((sums / sizes).tolist(), (np.log(ones) - np.log(others)).tolist(), strict=True))


def _logistic(scores: Floats, same: Floats, different: Floats) -> Knots:
    """Return the ends of the line with the lowest log loss, at the lowest and the highest score."""
    middle = (same + different) @ scores
    spread = np.sqrt((same + different) @ (scores - middle) ** 2)
    positions = (scores - middle) / spread

    def loss(line: Floats) -> tuple[float, Floats]:
        odds = line[0] + line[1] * positions
        slope = different * expit(odds) - same * expit(-odds)
        return float(same @ np.logaddexp(0, -odds) + different @ np.logaddexp(0, odds)), np.stack(
            [slope.sum(), slope @ positions]
        )

    start = np.array([logit(same.sum()), 1.0])
    level, steepness = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return [(float(scores[end]), float(level + steepness * positions[end])) for end in (0, -1)]


METHODS: dict[str, Callable[[Floats, Floats, Floats], Knots]] = {"isotonic": _isotonic, "logistic": _logistic}
"""Methods by name. Each maps ascending scores (S,) and the weights (S,) of their pairs of one and of different persons,
which sum to 1, to knots of (score, log odds)."""
