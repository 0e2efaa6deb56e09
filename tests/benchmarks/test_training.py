"""The benchmark of training steps runs every configuration."""

from __future__ import annotations

import pytest

from benchmarks import training


def test_every_configuration_runs_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SIZE", (64, 32))
    took = training.measure(rounds=1, embed_dim=24, depth=2, num_heads=2)
    assert took.keys() == {"timm", *training.CONFIGURATIONS}
    table = list(training.lines(took))
    assert len(table) == 2 + len(training.CONFIGURATIONS)


def test_the_goal_with_jpm() -> None:
    assert training.allowed("relation triplet") == 1.05
    assert training.allowed("SIE + JPM") == pytest.approx(1.05 + 4 * 33 / (129 * 12))
