"""The benchmark of attacks attacks only its own service."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks.attacks import ATTACKS, Target


def test_it_measures_each_attack_without_and_with_keys(tiny_bundle: Path) -> None:
    names = ["half-sent headers", "made-up labels"]
    found = list(hostile.measure(tiny_bundle, names, seconds=0.3, runtime="fake"))
    assert [(each.attack, each.keys) for each in found] == [(name, keys) for name in names for keys in (False, True)]
    assert all(each.peak_mib > 20 and 0 < each.healthz_s < 60 for each in found)
    assert set(names) <= set(ATTACKS)


def test_missed_goals_are_reported() -> None:
    good, bad = hostile.Measured("a", True, 300, 0.1, 2), hostile.Measured("b", False, 300, 1.2, 2)
    _, _, first, second, goals = hostile.lines([good, bad])
    assert first == "| a | yes | 300 MiB | 0.10 s | 2.00 s | yes |"
    assert second.endswith("| NO |")
    assert "1536 MiB" in goals


def test_only_this_machine_is_attacked() -> None:
    with pytest.raises(ValueError, match="not this machine"):
        Target("192.0.2.1", 80, 1)
