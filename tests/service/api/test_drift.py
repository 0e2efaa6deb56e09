"""Drift of scores: a known one is seen, none is invented, and memory is bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitreid.service.api.drift import Drift, DriftWatch, stability_index


def index_by_hand(reference: list[float], recent: list[float], bins: int) -> float:
    """The same number by counting."""
    ordered = sorted(reference)
    edges = [float(np.quantile(ordered, place / bins)) for place in range(1, bins)]

    def shares(scores: list[float]) -> list[float]:
        counts = [0.5] * bins
        for score in scores:
            counts[sum(score >= edge for edge in edges)] += 1
        return [count / sum(counts) for count in counts]

    return sum((q - p) * math.log(q / p) for p, q in zip(shares(reference), shares(recent), strict=True))


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
def test_the_index_is_what_counting_gives(shift: float) -> None:
    rng = np.random.default_rng(0)
    reference, recent = rng.normal(0.7, 0.1, 400).tolist(), rng.normal(0.7 - shift, 0.1, 90).tolist()
    assert stability_index(reference, recent) == pytest.approx(index_by_hand(reference, recent, 10))


def test_the_index_of_a_sample_with_itself_is_zero() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.1, 1000).tolist()
    assert stability_index(scores, scores) == 0
    assert stability_index([0.5] * 50, [0.5] * 20) < 0.1


def watched(watch: DriftWatch, scores: np.ndarray, camera: str = "c1") -> list[Drift]:
    return [drift for score in scores if (drift := watch.add("default", camera, float(score))) is not None]


def test_scores_that_stay_raise_no_alarm() -> None:
    rng = np.random.default_rng(1)
    watch = DriftWatch()
    seen = watched(watch, rng.normal(0.7, 0.1, 6000))
    assert len(seen) == 49  # the first with a full window, the others each half window
    assert not any(drift.alarm for drift in seen)
    assert watch.alarms() == []


def test_a_camera_that_gets_worse_raises_an_alarm_and_the_others_do_not() -> None:
    rng = np.random.default_rng(2)
    watch = DriftWatch()
    watched(watch, rng.normal(0.7, 0.1, 1400), "good")
    watched(watch, rng.normal(0.7, 0.1, 1400), "turned")
    last = watched(watch, rng.normal(0.6, 0.1, 200), "turned")[-1]
    assert last.alarm
    assert (last.gallery, last.camera_id) == ("default", "turned")
    assert last.reference_mean == pytest.approx(0.7, abs=0.02)
    assert last.recent_mean == pytest.approx(0.6, abs=0.03)
    assert watch.alarms() == [last]
    watched(watch, rng.normal(0.7, 0.1, 400), "turned")  # the camera was put right
    assert watch.alarms() == []


def test_nothing_is_said_before_there_is_enough() -> None:
    assert watched(DriftWatch(reference=10, window=4), np.linspace(0, 1, 13)) == []
    assert len(watched(DriftWatch(reference=10, window=4), np.linspace(0, 1, 14))) == 1


def test_the_least_recently_seen_camera_is_forgotten() -> None:
    watch = DriftWatch(reference=2, window=2, cameras=2)
    low, high = np.zeros(2), np.ones(2)
    for camera in ("a", "b"):
        watched(watch, low, camera)
    watched(watch, low, "c")  # a goes
    assert watched(watch, high, "b") != []
    assert watched(watch, high, "a") == []


def test_a_dropped_gallery_begins_again() -> None:
    watch = DriftWatch(reference=2, window=2)
    watched(watch, np.array([0.1, 0.2, 0.9, 0.9]))
    watch.forget("other")
    assert watched(watch, np.ones(2)) != []
    watch.forget("default")
    assert watched(watch, np.ones(2)) == []
