"""Files and folders appear whole or not at all, also when the process dies between two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vitreid.bundle.atomic import atomic_folder, atomic_write, publish, publish_new, recover, staging_folder


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


def test_a_file_appears_only_when_its_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "out.bin"
    with atomic_write(file) as opened:
        opened.write(b"new")
        assert not file.exists()
    assert file.read_bytes() == b"new"


def test_a_failed_write_keeps_the_older_file(tmp_path: Path) -> None:
    file = tmp_path / "out.bin"
    file.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(file) as opened:
        opened.write(b"new")
        raise KeyboardInterrupt
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.bin", b"old")]


def test_a_staging_folder_starts_empty_and_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / ".staging"
    folder.mkdir(parents=True)
    (folder / "left").write_text("by a killed process")
    with staging_folder(folder) as staged:
        assert list(staged.iterdir()) == []
        (staged / "file").write_text("content")
        publish(staged / "file", tmp_path / "file")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "parent"]


def test_a_published_folder_leaves_the_staging_folder(tmp_path: Path) -> None:
    with staging_folder(tmp_path / ".staging") as staged:
        (staged / "file").write_text("content")
        publish(staged, tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/file"]


def test_a_file_published_as_new_never_replaces_another(tmp_path: Path) -> None:
    for content, published in (("first", True), ("second", False)):
        (tmp_path / "staged").write_text(content)
        assert publish_new(tmp_path / "staged", tmp_path / "out") is published
    assert (tmp_path / "out").read_text() == "first"


def test_publishing_as_new_works_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "staged").write_text("content")
    assert publish_new(tmp_path / "staged", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "content"
