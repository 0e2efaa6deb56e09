"""Bootstrap over persons against slow loops, by hand, and on simulations with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from vitreid.scoring import QueryScores, ScoringError, compare_scores, intervals, score_intervals


def scores(persons: list[int], precisions: list[float]) -> QueryScores:
    """Return queries with these average precisions; those with 1 have rank 1."""
    values = np.array(precisions, np.float64)
    return QueryScores(np.arange(len(persons)), np.array(persons), values, values / 2, np.where(values == 1, 1, 7))


def made(random: np.random.Generator, persons: int, queries: int) -> QueryScores:
    """Return persons who are easy or hard to find, with similar queries for each."""
    of_person = random.normal(0.5, 0.2, persons)
    labels = np.repeat(np.arange(persons), queries)
    return scores(labels.tolist(), (of_person[labels] + random.normal(0, 0.05, len(labels))).tolist())


def test_by_hand() -> None:
    """Two persons with one query each: a resample has the mean 0, 1/2 (in half of the cases) or 1."""
    found = score_intervals(scores([3, 8], [0, 1]))
    assert (found["mAP"].value, found["mAP"].low, found["mAP"].high) == (0.5, 0, 1)
    assert (found["mINP"].value, found["rank1"].value, found["rank10"].value) == (0.25, 0.5, 1)
    assert (found["rank10"].low, found["rank10"].high) == (1, 1)
    against = compare_scores(scores([3, 8], [0, 1]), scores([3, 8], [0.5, 0]))["mAP"]
    assert (against.value, against.low, against.high) == (0.25, -0.5, 1)
    assert against.below_zero == pytest.approx(0.25, abs=0.03)  # both draws are person 3


def test_against_slow_loops() -> None:
    """Every resample as a list of queries, a person's own repeated as often as the person is drawn."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 12, 40).tolist()
    one, other = (scores(labels, random.random(40).tolist()) for _ in range(2))
    draws = np.random.default_rng(9)
    persons = sorted(set(labels))
    means, differences = [], []
    for times in draws.multinomial(len(persons), [1 / len(persons)] * len(persons), 300):
        chosen = [
            i
            for person, count in zip(persons, times, strict=True)
            for _ in range(count)
            for i in range(40)
            if labels[i] == person
        ]
        means.append(float(np.mean([one.average_precision[i] for i in chosen])))
        differences.append(
            float(np.mean([one.average_precision[i] - other.average_precision[i] for i in chosen])),
        )
    found = score_intervals(one, resamples=300, seed=9)["mAP"]
    assert found.value == pytest.approx(one.average_precision.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
    against = compare_scores(one, other, resamples=300, seed=9)["mAP"]
    assert (against.low, against.high) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])))
    assert against.below_zero == np.mean([difference < 0 for difference in differences])


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(np.random.default_rng(1), persons=20, queries=3)
    whole = score_intervals(one, resamples=100)
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 7 * 20)
    assert score_intervals(one, resamples=100) == whole


@pytest.mark.slow
def test_intervals_cover_the_truth_at_the_stated_rate() -> None:
    """Experiments of 60 persons whose mean is 0.5: 95 % of the intervals should hold it.

    Were each query a person, the intervals would be too narrow by far.
    """
    random = np.random.default_rng(3)
    held, held_by_query = 0, 0
    for seed in range(200):
        one = made(random, persons=60, queries=4)
        by_person = score_intervals(one, resamples=400, seed=seed)["mAP"]
        held += by_person.low <= 0.5 <= by_person.high
        every = scores(list(range(240)), one.average_precision.tolist())
        by_query = score_intervals(every, resamples=400, seed=seed)["mAP"]
        held_by_query += by_query.low <= 0.5 <= by_query.high
    assert 0.90 <= held / 200 <= 0.99
    assert held_by_query / 200 < 0.8


def test_a_model_does_not_differ_from_itself() -> None:
    one = made(np.random.default_rng(1), persons=20, queries=3)
    assert {(row.value, row.low, row.high, row.below_zero) for row in compare_scores(one, one).values()} == {(0,) * 4}


def test_swapped_models_differ_the_other_way() -> None:
    random = np.random.default_rng(2)
    one, other = made(random, persons=20, queries=3), made(random, persons=20, queries=3)
    there, back = compare_scores(one, other)["mAP"], compare_scores(other, one)["mAP"]
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.below_zero == pytest.approx(1 - back.below_zero)


def test_pairing_narrows_the_interval() -> None:
    """A model that is a little better on every person is surely better, however much persons differ."""
    one = made(np.random.default_rng(1), persons=30, queries=2)
    better = scores(one.persons.tolist(), (one.average_precision + 0.01).tolist())
    against = compare_scores(better, one)["mAP"]
    alone = score_intervals(better)["mAP"]
    assert against.low == pytest.approx(0.01)
    assert against.below_zero == 0
    assert alone.high - alone.low > 0.05


def test_one_person_has_no_interval() -> None:
    with pytest.raises(ScoringError, match="show 1 person"):
        score_intervals(scores([4, 4], [0, 1]))


@pytest.mark.parametrize("others", [[1, 2, 2], [1, 2]])
def test_scores_of_different_queries(others: list[int]) -> None:
    with pytest.raises(ScoringError, match="not scored on the same queries"):
        compare_scores(scores([1, 1, 2], [0, 1, 0]), scores(others, [0] * len(others)))
