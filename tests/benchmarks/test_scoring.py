"""The benchmark of scoring runs every configuration; counting and sorting give the same scores."""

from __future__ import annotations

import pytest

from benchmarks import scoring

SMALL = scoring.Size(queries=60, gallery=3000, dimension=8, sorted_queries=40)


def test_every_configuration_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PERSONS", 60)
    monkeypatch.setattr(scoring, "measure", scoring.run)  # in this process, which is faster
    lines = list(scoring.table(SMALL))
    assert sum(line.startswith("| ") for line in lines) == len(scoring.CONFIGURATIONS)
    assert float(lines[-1].split()[-1].rstrip(".")) < 1e-6


def test_a_configuration_runs_in_its_own_process() -> None:
    found = scoring.measure("counted", SMALL)
    assert found["cpu_s"] > 0
    assert found["peak_mib"] > 10
