"""Probabilities of candidates, and the minimum score of a minimum probability."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.calibrations import made
from vitreid.service.errors import BadParameter, NotCalibrated
from vitreid.service.search import Candidate
from vitreid.service.search.calibration import ScoreCalibration, calibration_within


def candidate(score: float, camera_id: str | None = "c2", **changes: Any) -> Candidate:
    match: Any = SimpleNamespace(score=score, item=SimpleNamespace(camera_id=camera_id))
    return Candidate(match, **changes)


def scores(**changes: Any) -> ScoreCalibration:
    return ScoreCalibration(**(dict[str, Any](calibration=made(), camera_id="c1", single=True) | changes))


def test_the_probability_is_that_of_the_pair_of_query_and_item() -> None:
    for score in (-0.2, 0.5, 0.7, 0.99):
        expected = made().probability(score)
        assert scores().probability(candidate(score)) == expected
        assert scores().probability(candidate(score, rerank_distance=0.1)) == expected
        assert scores().probability(candidate(score, label="t1")) == expected


@pytest.mark.parametrize(
    ("query", "item", "measured"),
    [("c1", "c2", True), (None, "c2", False), ("c1", None, False), (None, None, False), ("c1", "c1", False)],
)
def test_two_images_that_may_be_by_one_camera_were_not_measured(
    query: str | None, item: str | None, measured: bool
) -> None:
    assert (scores(camera_id=query).probability(candidate(0.8, item)) is not None) is measured


def test_a_calibration_holds_in_its_own_domain() -> None:
    """A calibration on drawn people does not hold for photographs, nor the other way round."""
    photographs, drawn = made(), made(data=made().data.model_copy(update={"domain": "drawn"}))
    assert calibration_within(photographs, None) == photographs
    assert calibration_within(drawn, "drawn") == drawn
    assert calibration_within(drawn, None) is None
    assert calibration_within(photographs, "drawn") is None
    assert calibration_within(None, None) is None


def test_none_without_a_calibration_and_for_a_mean_of_images() -> None:
    assert scores(calibration=None).probability(candidate(0.8)) is None
    assert scores(single=False).probability(candidate(0.8)) is None


def test_the_higher_of_both_minimum_scores_counts() -> None:
    minimum = made().min_score(0.5)
    assert minimum is not None
    assert 0.4 < minimum < 0.8
    assert scores().min_score(None, 0.5) == minimum
    assert scores().min_score(0.1, 0.5) == minimum
    assert scores().min_score(0.9, 0.5) == 0.9
    for score in (None, 0.3):
        assert scores().min_score(score, None) == score
        assert scores(calibration=None, single=False).min_score(score, None) == score


def test_a_minimum_probability_is_refused_rather_than_guessed() -> None:
    with pytest.raises(
        NotCalibrated, match=r"min_probability 0\.5 needs a model that is calibrated .* `vitreid export calibrate"
    ):
        scores(calibration=None).min_score(None, 0.5)
    with pytest.raises(BadParameter, match="for a query of one image without expand"):
        scores(single=False).min_score(None, 0.5)
    with pytest.raises(BadParameter, match=r"needs the query's camera, .*; give camera_id"):
        scores(camera_id=None).min_score(None, 0.5)
    with pytest.raises(BadParameter, match=r"0\.95 is higher than any score's .* 0\.9167, at a prior of 0\.1"):
        scores().min_score(None, 0.95)
