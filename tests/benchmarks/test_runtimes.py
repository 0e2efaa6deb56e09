"""The comparison of runtimes runs, and tells the best of each side."""

from __future__ import annotations

import numpy as np

from benchmarks import runtimes
from bundle import Bundle
from bundle.run_openvino import precisions


def test_it_measures_every_side_in_every_round(tiny_bundle):
    speeds = runtimes.measure(Bundle.open(tiny_bundle), rounds=2, seconds=0)
    assert set(speeds) == {"onnxruntime", *(f"OpenVINO {precision}" for precision in precisions())}
    assert all(len(rounds) == 2 and min(rounds) > 0 for of in speeds.values() for rounds in of.values())
    assert {batch for of in speeds.values() for _, batch in of} == {1, 8}


def test_it_compares_the_best_settings(tiny_bundle):
    told = list(
        runtimes.lines(
            {
                "onnxruntime": {(1, 1): [10.0, 12.0, 11.0], (2, 1): [20.0, 20.0, 99.0]},
                "OpenVINO bf16": {(1, 8): [40.0, 1.0, 40.0], (2, 8): [30.0, 30.0, 30.0]},
            }
        )
    )
    assert told[1:3] == ["| onnxruntime | 20.0 | 2 | 1 | 1.00 |", "| OpenVINO bf16 | 40.0 | 1 | 8 | 2.00 |"]
    assert "at least 1.8" in told[-1]


def test_pictures_are_counted():
    batches: list[int] = []
    runtimes.images_per_s(lambda pictures: batches.append(len(pictures)), np.zeros((3, 1, 1, 3), np.uint8), 0)
    assert batches == [3, 3]
