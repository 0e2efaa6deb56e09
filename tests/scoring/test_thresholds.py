"""RateThresholds and their intervals against loops over pairs, and on simulations with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from vitreid.scoring import Labelled, pairs, thresholds
from vitreid.scoring.pairs import Images, count_pairs
from vitreid.scoring.thresholds import RateThresholds, find_thresholds

from .pairing import made, slow_pairs

RATES = (0.2, 0.05, 0.001)


def found(**options: int) -> list[RateThresholds]:
    return find_thresholds(Images.of(*made()), rates=RATES, **options)[1]


@pytest.mark.parametrize("at_once", [5, 10**6])
def test_thresholds_against_a_loop(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(pairs, "SCORES_AT_ONCE", at_once)
    slow = list(slow_pairs(*made()))
    every = found(resamples=20)
    assert [each.cameras for each in every] == [None, ("c9", "c10"), ("c9", "c11"), ("c10", "c11")]
    for each in every:
        own = [pair for pair in slow if each.cameras in (None, pair[1:3])]
        same = [pair[0] for pair in own if pair[3] == pair[4]]
        different = [pair[0] for pair in own if pair[3] != pair[4]]
        assert (each.pairs.persons, each.pairs.same, each.pairs.different) == (6, len(same), len(different))
        assert ([at.false_match_rate for at in each.at], each.unmeasured_rates) == ([0.2, 0.05], (0.001,))
        for at in each.at:
            assert at.false_matches.value == pytest.approx(share(different, at.score))
            assert at.true_matches.value == pytest.approx(share(same, at.score))
            assert at.false_matches.value <= at.false_match_rate < share(different, at.score - 0.0001)


def share(scores: list[float], min_score: float) -> float:
    return sum(score >= min_score for score in scores) / len(scores)


def test_intervals_against_a_loop_over_resamples() -> None:
    """The weight of a pair of different persons is the product of their counts; distractors count once."""
    query, gallery = made()
    slow = list(slow_pairs(query, gallery))
    known = sorted(set(query.persons.tolist()))
    every = found(resamples=40, seed=7)
    random = np.random.default_rng(7)
    draws = random.multinomial(6, [1 / 6] * 6, 40)
    for each in every[:2]:
        own = [pair for pair in slow if each.cameras in (None, pair[1:3])]
        for at in each.at:
            false, true = [], []
            for draw in draws:
                times = dict(zip(known, draw.tolist(), strict=True))
                sums = np.zeros(4)
                for score, _, _, one, other in own:
                    same = one == other
                    weight = times[one] if same else times.get(one, 1) * times.get(other, 1)
                    sums += weight * np.array(
                        [same, same and score >= at.score, not same, not same and score >= at.score]
                    )
                true.append(sums[1] / sums[0])
                false.append(sums[3] / sums[2])
            assert (at.true_matches.low, at.true_matches.high) == pytest.approx(tuple(np.percentile(true, [2.5, 97.5])))
            assert (at.false_matches.low, at.false_matches.high) == pytest.approx(
                tuple(np.percentile(false, [2.5, 97.5]))
            )


def test_resampling_persons_gives_wider_intervals_than_pairs() -> None:
    """All false matches are between two persons: a resample without one of them has none."""
    labels = np.repeat(np.arange(12), 2)
    rows = np.eye(16)[labels]
    rows[2:4] = 0.6 * rows[2:4] + 0.8 * np.eye(16)[0]  # person 1 looks like person 0
    part = Labelled.of("some", rows, labels, np.tile(["c1", "c2"], 12))
    at = find_thresholds(Images.of(part, part), rates=(0.1,), resamples=400)[1][0].at[0]
    assert at.false_matches.value == pytest.approx(1 / 66)
    assert at.false_matches.low == 0
    assert at.false_matches.high > 3 / 66


def test_all_pairs_are_counted_as_well() -> None:
    images = Images.of(*made())
    total, _ = find_thresholds(images, resamples=2)
    expected = count_pairs(images)
    assert np.array_equal(total.same, expected.same)
    assert np.array_equal(total.different, expected.different)


def test_cameras_without_a_common_person_have_no_row() -> None:
    labels = np.repeat(np.arange(12), 2)
    cameras = np.where(labels < 6, np.tile(["c1", "c2"], 12), np.tile(["c3", "c4"], 12))
    part = Labelled.of("some", np.random.default_rng(0).standard_normal((24, 4)), labels, cameras)
    every = find_thresholds(Images.of(part, part), rates=RATES, resamples=2)[1]
    assert [each.cameras for each in every] == [None, ("c1", "c2"), ("c3", "c4")]


def test_too_few_pairs_for_any_rate() -> None:
    every = find_thresholds(Images.of(*made()), rates=(0.0001,), resamples=2)[1]
    assert all((each.at, each.unmeasured_rates) == ((), (0.0001,)) for each in every)


def test_rates_need_ten_expected_false_matches() -> None:
    assert thresholds.MIN_FALSE_MATCHES == 10
    different = found(resamples=2)[0].pairs.different
    for rate, measured in ((9.9 / different, False), (10.1 / different, True)):
        [first, *_] = find_thresholds(Images.of(*made()), rates=(rate,), resamples=2)[1]
        assert bool(first.at) is measured


@pytest.mark.slow
def test_intervals_cover_the_truth_at_about_the_stated_rate() -> None:
    """Persons are points on a circle; many experiments share one true rate at a fixed angle."""
    random = np.random.default_rng(11)
    min_score = 0.6

    def experiment(persons: int) -> Images:
        angles = random.vonmises(0, 0.4, persons)[:, None] + random.normal(0, 0.1, (persons, 2))
        rows = np.stack([np.cos(angles), np.sin(angles)], -1).reshape(-1, 2)
        labels = np.repeat(np.arange(persons), 2)
        part = Labelled.of("some", rows, labels, np.tile(["c1", "c2"], persons))
        return Images.of(part.take(np.arange(0, 2 * persons, 2)), part.take(np.arange(1, 2 * persons, 2)))

    first = int((min_score + 1) / 2 * pairs.BINS + 1e-6)

    def measured(images: Images) -> thresholds.RateThreshold:
        [(_, hits)] = [each for each in thresholds._hits(images, {None: {0.1: first}, ("c1", "c2"): {}}) if each[1]]
        tallies = images.tallies(images.camera_names())
        return thresholds._threshold(0.1, hits[0], tallies, thresholds._draws(tallies, 200, 0))

    truth = measured(experiment(3000)).false_matches.value
    held = [
        low <= truth <= high
        for low, high in (
            (each.false_matches.low, each.false_matches.high) for each in (measured(experiment(40)) for _ in range(120))
        )
    ]
    assert 0.86 <= np.mean(held) <= 1
