"""Folders appear whole or not at all, also when the process dies between two steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitreid.bundle.files import atomic_folder, recover


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_older_folder(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "file").write_text(content)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out") as folder:
        raise KeyboardInterrupt
    assert (tmp_path / "out" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_crash_between_the_renames_is_repaired(tmp_path: Path) -> None:
    (tmp_path / ".out.old").mkdir()
    (tmp_path / ".out.old" / "file").write_text("old")
    recover(tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "old"


def test_recovery_never_replaces_a_complete_folder(tmp_path: Path) -> None:
    for name in ("out", ".out.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    recover(tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "out"
