"""Calibration: isotonic fits against brute force, lines against known ones, reliability against loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vitreid.scoring import Labelled, ScoringError
from vitreid.scoring.calibration import METHODS, fit_calibration, fit_knots, reliability
from vitreid.scoring.pairs import Images, PairCounts, PairTotals, bin_centres, count_pairs, lower_edge

from .pairing import made


def counts(rows: dict[int, tuple[int, int]]) -> PairCounts:
    """Return counts of pairs of one and of different persons, by bin."""
    found = PairCounts.none()
    for index, (same, different) in rows.items():
        found.same[index], found.different[index] = same, different
    return found


def ratios(knots: list[tuple[float, float]]) -> np.ndarray:
    return np.interp(bin_centres(), *np.array(knots).T)


def pooled(same: list[float], different: list[float], slack: float = 0) -> list[list[int]]:
    """Pool adjacent violators by the definition: merge neighbours until shares ascend."""
    pools = [[i] for i in range(len(same))]

    def share(pool: list[int]) -> float:
        return sum(same[i] for i in pool) / sum(same[i] + different[i] for i in pool)

    while True:
        for index, (one, other) in enumerate(pairwise(pools)):
            if share(one) >= share(other) + slack:
                pools[index : index + 2] = [one + other]
                break
        else:
            return pools


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any), min_size=3, max_size=9),
    st.floats(0.001, 0.9),
)
def test_isotonic_is_pooling_of_adjacent_violators(rows: list[tuple[int, int]], prior: float) -> None:
    """Knots are the mean scores of the pools, weighted by the prior, and their likelihood ratios, independent of it."""
    same, different = (np.array(column, float) for column in zip(*rows, strict=True))
    same[0] += 1
    different[-1] += 1
    scores = np.linspace(0.1, 0.9, len(rows))
    weighted = prior * same / same.sum(), (1 - prior) * different / different.sum()
    found = METHODS["isotonic"](scores, *weighted)
    pools = pooled(same.tolist(), different.tolist(), 1e-9)
    assume(pools == pooled(same.tolist(), different.tolist(), -1e-9))  # equal shares are one pool or two: no matter
    ratios = [np.log(same[pool].sum() / same.sum()) - np.log(different[pool].sum() / different.sum()) for pool in pools]
    mass = sum(weighted)
    assert [odds - np.log(prior / (1 - prior)) for _, odds in found] == pytest.approx(ratios)
    assert [score for score, _ in found] == pytest.approx([np.average(scores[p], weights=mass[p]) for p in pools])


def test_isotonic_is_the_best_ascending_function() -> None:
    """No other ascending assignment of a few levels has a lower squared error (brute force)."""
    same, different = np.array([1, 0, 3, 1, 4]), np.array([9, 5, 2, 4, 1])
    weights = same + different
    knots = METHODS["isotonic"](np.arange(5) / 10, same / 30, different / 30)
    sizes = [len(pool) for pool in pooled(same.tolist(), different.tolist())]
    found = np.repeat([1 / (1 + np.exp(-odds)) for _, odds in knots], sizes)
    levels = np.linspace(0, 1, 11)
    ascending = (
        np.array([levels[i] for i in chosen])
        for chosen in np.ndindex(*[11] * 5)
        if all(a <= b for a, b in pairwise(chosen))
    )
    errors = [float(weights @ (values - same / weights) ** 2) for values in (found, *ascending)]
    assert min(errors) == errors[0]


def test_logistic_finds_the_line_that_made_the_pairs() -> None:
    scores = bin_centres()
    odds = 12 * scores - 5
    shape = 4000 * np.exp(-8 * scores**2)
    made_by = PairCounts(
        np.round(shape / (1 + np.exp(-odds))).astype(int), np.round(shape / (1 + np.exp(odds))).astype(int)
    )
    share = made_by.same.sum() / (made_by.same.sum() + made_by.different.sum())
    (low, at_low), (high, at_high) = fit_knots("logistic", made_by, float(share))
    shift = np.log(share / (1 - share))
    occupied = scores[np.flatnonzero(made_by.same + made_by.different)]
    assert (low, high) == pytest.approx((occupied[0], occupied[-1]), abs=1e-6)
    steepness = (at_high - at_low) / (high - low)
    assert steepness == pytest.approx(12, rel=0.01)
    assert at_low - steepness * low + shift == pytest.approx(-5, rel=0.01)


def test_logistic_has_no_better_line_beside_it() -> None:
    pairs = counts({9000: (1, 400), 11000: (3, 90), 13000: (20, 30), 15000: (40, 2), 16000: (15, 0)})
    padded = counts({9000: (2, 400), 11000: (3, 90), 13000: (20, 30), 15000: (40, 2), 16000: (15, 1)})
    numbers = PairTotals(5, 79, 522)
    knots = fit_knots("logistic", pairs, 0.05)
    best = reliability(ratios(knots), padded, 0.05, numbers).log_loss
    for up, down in ((0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2), (0.2, -0.2)):
        other = [(knots[0][0], knots[0][1] + down), (knots[1][0], knots[1][1] + up)]
        assert reliability(ratios(other), padded, 0.05, numbers).log_loss > best


@pytest.mark.parametrize("method", sorted(METHODS))
def test_knots_ascend_and_claim_nothing_beyond_the_data(method: str) -> None:
    """Pairs that are separated completely: the ratio grows with their number and stays finite."""
    few, many = (fit_knots(method, counts({9000: (0, size), 15000: (size, 0)}), 0.5) for size in (10, 1000))
    for knots in (few, many):
        assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(knots))
        assert np.isfinite(np.array(knots)).all()
    scores = [0.5, -0.1]
    claims = [np.diff(np.interp(scores[::-1], *np.array(knots).T))[0] for knots in (few, many)]
    assert 0 < claims[0] < claims[1]


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("rows", [{9000: (50, 50), 15000: (50, 50)}, {9000: (50, 5), 15000: (5, 50)}, {9000: (9, 9)}])
def test_scores_without_evidence(method: str, rows: dict[int, tuple[int, int]]) -> None:
    with pytest.raises(ScoringError, match="do not score higher"):
        fit_knots(method, counts(rows), 0.1)


def test_reliability_against_a_loop_over_pairs() -> None:
    random = np.random.default_rng(3)
    bins_of_pairs = random.integers(9000, 17000, 300)
    shown = random.random(300) < (bins_of_pairs - 9000) / 9000
    pairs = PairCounts.none()
    for index, same in zip(bins_of_pairs, shown, strict=True):
        (pairs.same if same else pairs.different)[index] += 1
    knots, prior = [(0.0, -2.0), (0.3, 0.5), (0.65, 3.0)], 0.02
    found = reliability(ratios(knots), pairs, prior, PairTotals(9, 1, 2))
    weight = {True: prior / shown.sum(), False: (1 - prior) / (~shown).sum()}
    loss = brier = 0.0
    bins: dict[float, list[tuple[float, float, bool]]] = {}
    for index, same in zip(bins_of_pairs.tolist(), shown.tolist(), strict=True):
        ratio = np.interp(lower_edge(index) + 0.00005, *np.array(knots).T)
        probability = 1 / (1 + (1 - prior) / prior * np.exp(-ratio))
        loss -= weight[same] * np.log(probability if same else 1 - probability)
        brier += weight[same] * (probability - same) ** 2
        edges = (0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
        low = max(each for each in edges if each <= probability)
        bins.setdefault(low, []).append((weight[same], probability, same))
    assert (found.log_loss, found.brier) == (pytest.approx(loss), pytest.approx(brier))
    assert found.base_log_loss == pytest.approx(-prior * np.log(prior) - (1 - prior) * np.log(1 - prior))
    assert found.base_brier == pytest.approx(prior * (1 - prior) ** 2 + (1 - prior) * prior**2)
    error = 0.0
    assert [each.low for each in found.bins] == sorted(bins)
    for each in found.bins:
        weights, probabilities, same = (np.array(column) for column in zip(*bins[each.low], strict=True))
        assert (each.same, each.different) == (same.sum(), (~same).sum())
        assert each.probability == pytest.approx(np.average(probabilities, weights=weights))
        assert each.observed == pytest.approx(np.average(same, weights=weights))
        error += weights.sum() * abs(each.probability - each.observed)
    assert found.calibration_error == pytest.approx(error)


def fitted(seed: int = 0, **options: Any) -> Any:
    images = Images.of(*made(seed, persons=30, spread=0.8))
    return fit_calibration(images, count_pairs(images), **options)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_half_is_scored_by_a_fit_on_the_other(method: str) -> None:
    fit = fitted(method=method)
    images = Images.of(*made(persons=30, spread=0.8))
    order = np.random.default_rng(0).permutation(28)
    one, other = (count_pairs(images.of_persons(part)) for part in (order[:14], order[14:]))
    by_other, by_one = (ratios(fit_knots(method, half, fit.prior)) for half in (other, one))
    both = PairCounts(*(np.concatenate([getattr(one, n), getattr(other, n)]) for n in ("same", "different")))
    numbers = PairTotals(28, int(both.same.sum()), int(both.different.sum()))
    assert fit.held_out == reliability(np.concatenate([by_other, by_one]), both, fit.prior, numbers)


def test_the_result_is_fitted_on_all() -> None:
    fit = fitted()
    assert fit.knots == fit_knots(fit.method, count_pairs(Images.of(*made(persons=30, spread=0.8))), fit.prior)


def test_the_method_has_the_lowest_loss_on_held_out_persons() -> None:
    fit = fitted()
    alone = {method: fitted(method=method) for method in METHODS}
    assert fit.log_loss_by_method == {method: each.held_out.log_loss for method, each in alone.items()}
    assert fit.method == min(fit.log_loss_by_method, key=lambda method: fit.log_loss_by_method[method])
    assert fit.held_out.log_loss < fit.held_out.base_log_loss
    assert list(alone["isotonic"].log_loss_by_method) == ["isotonic"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_knots_stay_within_the_observed_scores(method: str) -> None:
    pairs = counts({9000: (2, 40), 11000: (5, 9), 13000: (30, 3)})
    scores = [score for score, _ in fit_knots(method, pairs, 0.1)]
    assert lower_edge(9000) < scores[0] < scores[-1] < lower_edge(13001)


def test_the_prior_is_the_share_of_all_pairs_unless_it_is_given() -> None:
    images = Images.of(*made(persons=30, spread=0.8))
    total = count_pairs(images)
    assert fitted().prior == total.same.sum() / (total.same.sum() + total.different.sum())
    rare = fitted(prior=1e-5, method="isotonic")
    assert rare.prior == 1e-5
    same = [ratio for _, ratio in fitted(method="isotonic").knots]
    assert [ratio for _, ratio in rare.knots] == pytest.approx(same, abs=2e-6)  # the ratios do not depend on the prior
    assert rare.held_out.base_log_loss < fitted().held_out.base_log_loss / 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guess"}, "there is no method 'guess'; take one of isotonic, logistic"),
        ({"prior": 0.0}, "prior 0.0 is not between 0 and 1"),
        ({"prior": 1.0}, "prior 1.0"),
        ({"prior": float("nan")}, "prior nan"),
    ],
)
def test_invalid_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        fitted(**options)


@pytest.mark.parametrize("persons", [1, 2, 3])
def test_too_few_persons(persons: int) -> None:
    labels = np.repeat(np.arange(persons), 4)
    part = Labelled.of("some", np.eye(12)[np.arange(4 * persons)], labels, np.tile(["c1", "c2"], 2 * persons))
    images = Images.of(part, part)
    with pytest.raises(ScoringError, match=r"^half of the persons \(\d\) have .* needs 10 of each"):
        fit_calibration(images, count_pairs(images))


def test_persons_seen_by_one_camera_each() -> None:
    labels = np.arange(40)
    part = Labelled.of("some", np.eye(40), labels, np.where(labels % 2, "c1", "c2"))
    images = Images.of(part, part)
    with pytest.raises(ScoringError, match="have 0 pairs of one person from two cameras"):
        fit_calibration(images, count_pairs(images))
