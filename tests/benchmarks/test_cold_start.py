"""The benchmark of cold starts runs and reports its results."""

from __future__ import annotations

from benchmarks import cold_start


def test_it_measures_each_setting_in_each_round(tiny_bundle):
    seconds = cold_start.measure(tiny_bundle, {"made up": {"runtime": "fake"}, "real": {"threads": "1"}}, rounds=1)
    assert {name: len(each) for name, each in seconds.items()} == {"made up": 1, "real": 1}
    assert all(each[0] > 0 for each in seconds.values())
    _, *rows, goal = cold_start.lines({"made up": [1.0, 4.0, 2.0]})
    assert rows == ["| made up | 2.00 s | 1.00 s | 4.00 s |"]
    assert "under 3 s" in goal
