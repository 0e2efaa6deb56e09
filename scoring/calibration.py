"""From scores to probabilities: how many times more often pairs of one person have a score, and how good that is.

What is fitted is the logarithm of a likelihood ratio over the score, as knots between which it is interpolated. With
the log odds of a prior, the share of pairs of one person before anybody looked at scores, it gives log odds:

- isotonic: pool adjacent violators (Ayer et al., "An Empirical Distribution Function for Sampling with Incomplete
  Information", 1955); the likelihood ratios do not depend on the prior (Brümmer and du Preez, "The PAV Algorithm
  Optimizes Binary Proper Scoring Rules", 2013);
- logistic: a straight line (Platt, "Probabilistic Outputs for Support Vector Machines", 1999).

To claim nothing beyond the data, one pair of one person with the lowest score and one of different persons with the
highest are added to what is fitted, so that no number of pairs gives a probability of 0 or 1; and scores beyond the
lowest and the highest that were seen tell no more than these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from vitreid.scoring.labelled import ScoringError
from vitreid.scoring.pairs import Floats, Images, Ints, PairCounts, PairNumbers, centres, count_pairs

FEWEST_PAIRS = 10
EDGES = np.array([0, 0.001, 0.01, *np.arange(1, 10) / 10, 0.99, 1])

Knots = list[tuple[float, float]]
"""(score, log likelihood ratio), ascending in both."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Pairs whose probability is from `low` to below `high`: mean of what was said, and the share that was so."""

    low: float
    high: float
    same: int
    different: int
    probability: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """How good probabilities are; the `base_...` are those of always saying the prior. Lower is better.

    Each pair counts so that pairs of one person have the share that the prior says.
    """

    pairs: PairNumbers
    log_loss: float  # nats
    base_log_loss: float
    brier: float
    base_brier: float
    calibration_error: float
    """Expected calibration error: the mean distance of a bin's probability and share, by the pairs in it."""
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Fit:
    """Knots fitted on all pairs, and how good such knots are for persons whom they were not fitted on."""

    method: str
    prior: float
    knots: Knots
    held_out: Reliability
    log_loss_by_method: dict[str, float]
    """Log loss by method on persons held out; by it one is taken where none is asked for."""


def check_options(method: str | None, prior: float | None) -> None:
    """Raises ScoringError for an unknown method, and for a prior that is no share."""
    if method is not None and method not in METHODS:
        raise ScoringError(f"there is no method {method!r}; take one of {', '.join(METHODS)}")
    if prior is not None and not 0 < prior < 1:
        raise ScoringError(f"prior {prior} is not between 0 and 1; give the share of pairs that show one person")


def fit_calibration(
    images: Images, counts: PairCounts, *, method: str | None = None, prior: float | None = None, seed: int = 0
) -> Fit:
    """Fit on all pairs; the pairs among each random half of the persons are scored by knots fitted on the other half.

    `counts` are those of all pairs; `prior` is their share of pairs of one person where it is not given. Without a
    `method` the one with the lower log loss on persons held out is taken.

    Raises ScoringError as check_options does, and for too few pairs and scores that tell nothing.
    """
    check_options(method, prior)
    order = np.random.default_rng(seed).permutation(images.count)
    halves = [_half(images, persons) for persons in np.array_split(order, 2)]
    share = float(counts.same.sum() / (counts.same.sum() + counts.different.sum())) if prior is None else prior
    found = {name: _held_out(name, halves, share) for name in ([method] if method else METHODS)}
    losses = {name: each.log_loss for name, each in found.items()}
    best = min(losses, key=lambda name: losses[name])
    return Fit(best, share, fit_knots(best, counts, share), found[best], losses)


def _half(images: Images, persons: Ints) -> tuple[PairNumbers, PairCounts]:
    part = images.only(persons)
    counts = count_pairs(part)
    found = part.numbers(counts)
    if min(found.same, found.different) < FEWEST_PAIRS:
        raise ScoringError(
            f"{len(persons)} persons, a half of those there are, make {found.same:,} pairs of one person by two "
            f"cameras and {found.different:,} of different persons; calibration needs {FEWEST_PAIRS} of each in either "
            "half, so give images of more persons by more cameras"
        )
    return found, counts


def _held_out(method: str, halves: Sequence[tuple[PairNumbers, PairCounts]], prior: float) -> Reliability:
    (one, ones), (other, others) = halves
    ratios = [np.interp(centres(), *np.array(fit_knots(method, counts, prior)).T) for counts in (others, ones)]
    pairs = PairNumbers(one.persons + other.persons, one.same + other.same, one.different + other.different)
    every = PairCounts(np.append(ones.same, others.same), np.append(ones.different, others.different))
    return reliability(np.concatenate(ratios), every, prior, pairs)


def fit_knots(method: str, counts: PairCounts, prior: float) -> Knots:
    """Knots of a method in METHODS. Raises ScoringError where higher scores are not more often of one person."""
    occupied = np.flatnonzero(counts.same + counts.different)
    added = PairCounts.none()
    added.same[occupied[0]] = added.different[occupied[-1]] = 1
    weights = _weights(counts + added, prior)[:, occupied]
    knots = METHODS[method](centres()[occupied], *weights) if len(occupied) > 1 else []
    if len(knots) < 2 or knots[-1][1] <= knots[0][1]:
        raise ScoringError(
            "pairs of one person do not score higher than pairs of different ones; check the labels and the model"
        )
    return [(round(score, 6), round(odds - float(logit(prior)), 6)) for score, odds in knots]


def reliability(ratios: Floats, counts: PairCounts, prior: float, pairs: PairNumbers) -> Reliability:
    """How good the probabilities by log likelihood ratios (S,) are for the pairs (S,) that were given them."""
    odds = ratios + logit(prior)
    said = expit(odds)
    same, different = _weights(counts, prior)
    bins = _bins(said, counts, same, different)
    return Reliability(
        pairs=pairs,
        log_loss=float(same @ np.logaddexp(0, -odds) + different @ np.logaddexp(0, odds)),
        base_log_loss=float(-prior * np.log(prior) - (1 - prior) * np.log(1 - prior)),
        brier=float(same @ (1 - said) ** 2 + different @ said**2),
        base_brier=float(prior * (1 - prior)),
        calibration_error=sum(share * abs(each.probability - each.observed) for share, each in bins),
        bins=tuple(each for _, each in bins),
    )


def _bins(said: Floats, counts: PairCounts, same: Floats, different: Floats) -> list[tuple[float, ReliabilityBin]]:
    """The bins that hold pairs, each with the share of all pairs that it holds."""
    found = []
    for low, high in pairwise(EDGES.tolist()):
        inside = (low <= said) & ((said < high) | (high == 1))
        share = float((same + different)[inside].sum())
        if share:
            numbers = int(counts.same[inside].sum()), int(counts.different[inside].sum())
            means = float((same + different)[inside] @ said[inside]) / share, float(same[inside].sum()) / share
            found.append((share, ReliabilityBin(low, high, *numbers, *means)))
    return found


def _weights(counts: PairCounts, prior: float) -> Floats:
    """What pairs (S,) count (2, S): those of one person the prior in all, the others the rest of 1."""
    return np.stack([prior * counts.same / counts.same.sum(), (1 - prior) * counts.different / counts.different.sum()])


def _isotonic(scores: Floats, same: Floats, different: Floats) -> Knots:
    """A knot for each pool: the mean score of its pairs, and their log odds."""
    weights = same + different
    starts = isotonic_regression(same / weights, weights=weights).blocks[:-1]
    pooled = (np.add.reduceat(column, starts) for column in (scores * weights, weights, same, different))
    sums, sizes, ones, others = pooled
    return list(zip((sums / sizes).tolist(), (np.log(ones) - np.log(others)).tolist(), strict=True))


def _logistic(scores: Floats, same: Floats, different: Floats) -> Knots:
    """The line with the least log loss, by its ends at the lowest and the highest score."""
    middle = (same + different) @ scores
    spread = np.sqrt((same + different) @ (scores - middle) ** 2)
    places = (scores - middle) / spread

    def loss(line: Floats) -> tuple[float, Floats]:
        odds = line[0] + line[1] * places
        slope = different * expit(odds) - same * expit(-odds)
        return float(same @ np.logaddexp(0, -odds) + different @ np.logaddexp(0, odds)), np.stack(
            [slope.sum(), slope @ places]
        )

    start = np.array([logit(same.sum()), 1.0])
    level, steepness = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return [(float(scores[end]), float(level + steepness * places[end])) for end in (0, -1)]


METHODS: dict[str, Callable[[Floats, Floats, Floats], Knots]] = {"isotonic": _isotonic, "logistic": _logistic}
"""By name: from scores (S,), ascending, and the weights of the pairs of one and of different persons that have them
(S,), which are 1 in all, to (score, log odds)."""
