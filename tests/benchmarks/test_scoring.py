"""The measurement of scoring runs every way, and counting finds what sorting finds."""

from __future__ import annotations

import pytest

from benchmarks import scoring

SMALL = scoring.Size(queries=60, gallery=3000, dimension=8, sorted_queries=40)


def test_every_way_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PERSONS", 60)
    monkeypatch.setattr(scoring, "measure", scoring.run)  # in this process: the others are the same, but slow to start
    lines = list(scoring.table(SMALL))
    assert sum(line.startswith("| ") for line in lines) == len(scoring.WAYS)
    assert float(lines[-1].split()[-2]) < 1e-6


def test_a_way_runs_in_a_process_of_its_own() -> None:
    found = scoring.measure("counted", SMALL)
    assert found["cpu_s"] > 0
    assert found["peak_mib"] > 10
