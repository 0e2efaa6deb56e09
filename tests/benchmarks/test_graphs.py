"""The benchmark of graphs measures all graphs in turns and reports ratios."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks import graphs

SMALL: dict[str, Any] = {"height": 64, "width": 32, "options": {"embed_dim": 24, "depth": 2, "num_heads": 2}}


def test_every_graph_is_measured_in_every_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = graphs.steps(**SMALL)
    assert {graphs.PLAIN, graphs.FAST, graphs.JPM_PLAIN, graphs.JPM} <= set(steps)
    monkeypatch.setattr(graphs, "steps", lambda **_: {graphs.FAST: steps[graphs.FAST]})
    found = graphs.measure(tmp_path, rounds=2, batch=3, **SMALL)
    assert set(found) == {1, 2}
    assert {graphs.FAST, graphs.INT8, "OpenVINO fp32"} <= set(found[1])
    assert all(len(rounds) == 2 and min(rounds) > 0 for took in found.values() for rounds in took.values())


def test_they_take_turns() -> None:
    ran: list[str] = []
    took = graphs.alternate({name: partial(ran.append, name) for name in "ab"}, rounds=2)
    assert "".join(ran) == "ababab"  # the first of each does not count
    assert {name: len(rounds) for name, rounds in took.items()} == {"a": 2, "b": 2}


def test_ratios_are_of_neighbours_and_the_best_of_the_better_cores() -> None:
    one = {graphs.PLAIN: [1.0, 2.0, 4.0], graphs.FAST: [0.5, 1.0, 1.0], graphs.JPM: [1.0, 1.0, 1.0]}
    two = {graphs.PLAIN: [1.0, 1.0, 1.0], graphs.FAST: [0.25, 0.25, 0.25], graphs.JPM: [0.5, 0.5, 0.5]}
    _, _, fast, parts, _ = graphs.lines({1: one, 2: two}, batch=2)
    assert fast == f"| {graphs.FAST} | 2.0 | 2.00 | 8.0 | 4.00 | 4.00 | 1.15 |"
    assert parts == f"| {graphs.JPM} | 2.0 | 1.00 | 4.0 | 0.50 | 0.50 | 0.87 |"
    assert graphs.best({1: one, 2: two}, graphs.PLAIN) == pytest.approx(1)
