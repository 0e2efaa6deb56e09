"""The number of cores that a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vitreid.bundle.cores import cores


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("6400000 100000", 8),
        ("nonsense", 8),
    ],
)
def test_a_containers_quota_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(content + "\n")
    assert cores(tmp_path / "cpu.max") == expected


def test_without_a_quota_the_affinity_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert cores(tmp_path / "none") == 3
