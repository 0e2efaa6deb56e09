"""Galleries, backups and snapshots that somebody else wrote: nothing of theirs is believed, or runs, or is deleted."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from vitreid.service.db import Database
from vitreid.service.db.sqlite import connect
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import BackupDamaged, GalleryDamaged
from vitreid.service.gallery.maintenance.backup import MANIFEST, back_up, drop_backup
from vitreid.service.gallery.maintenance.on_demand import erase_items
from vitreid.service.gallery.maintenance.overview import describe
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.maintenance.verification import verify
from vitreid.service.gallery.rows.database import FILE
from vitreid.service.gallery.rows.tables import backups
from vitreid.service.gallery.snapshots import snapshot, trial
from vitreid.service.gallery.view.search_view import COLUMNS_FILE, INDEX_FILE, SearchView
from vitreid.service.indexes.exact import ExactIndex
from vitreid.service.indexes.matrix import MatrixIndex

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEEPS = "CREATE TRIGGER keeps AFTER DELETE ON items BEGIN INSERT INTO stolen VALUES (old.person_id); END"
HIDES = "CREATE TRIGGER sqlite_a AFTER DELETE ON items BEGIN INSERT INTO rejections VALUES (old.person_id, 1, 1); END"
FOREIGN = {
    "hidden trigger": [  # by a name that SQLite gives to nobody who asks
        "PRAGMA writable_schema = ON",
        f"INSERT INTO sqlite_schema VALUES ('trigger', 'sqlite_a', 'items', 0, '{HIDES}')",
        "PRAGMA schema_version = 1000",
    ],
    "trigger": ["CREATE TABLE stolen (person TEXT)", KEEPS],
    "view": ["CREATE VIEW everybody AS SELECT person_id FROM items"],
    "index": ["CREATE INDEX mine ON items (person_id, source)"],
    "table": ["CREATE TABLE notes (text TEXT)"],
    "column": ["ALTER TABLE deletions ADD COLUMN person_id TEXT"],
    "missing": ["DROP INDEX items_by_hash"],
    "embeddings": ["ALTER TABLE embeddings_1 ADD COLUMN person_id TEXT"],
}


@pytest.fixture
def gallery(open_gallery, make_items):
    with open_gallery(index="exact") as opened:
        opened.add(make_items(20, person_id="anna"))
        yield opened


@pytest.fixture
def kept(gallery, tmp_path) -> Path:
    back_up(gallery, tmp_path / "kept", NOW)
    return tmp_path / "kept"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def describe_anew(folder: Path, **values: Any) -> None:
    """Let a backup's manifest be true of its file again, as somebody who made one would."""
    content = (folder / FILE).read_bytes()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "checksum": ""}
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | facts | values))


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_backup_with_what_is_not_ours_is_refused(kind: str, kept: Path, gallery, tmp_path: Path) -> None:
    change(kept / FILE, *FOREIGN[kind])
    describe_anew(kept)
    with pytest.raises(BackupDamaged) as error:
        restore(kept, tmp_path / "new")
    assert str(kept) in str(error.value)
    assert not (tmp_path / "new" / FILE).exists()
    with pytest.raises(BackupDamaged):
        restore(kept, gallery.folder, replace=True)
    assert len(gallery) == 20


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_gallery_with_what_is_not_ours_is_not_opened_and_found(kind: str, gallery, open_gallery) -> None:
    gallery.close()
    change(gallery.folder / FILE, *FOREIGN[kind])
    with pytest.raises(GalleryDamaged, match="not ours"):
        open_gallery()
    assert "not ours" in verify(gallery.folder).findings[0].what


@pytest.mark.parametrize("lie", [{"seq": 10_000}, {"items": 19}, {"lineage": "f" * 32}, {"dimension": 17}])
def test_a_backup_is_what_its_manifest_says(lie: dict[str, Any], kept: Path, gallery) -> None:
    describe_anew(kept, **lie)
    with pytest.raises(BackupDamaged, match=r"does not match manifest\.json"):
        restore(kept, gallery.folder, replace=True)
    assert len(gallery) == 20


def test_what_is_restored_is_the_copy_that_was_checked(kept: Path, tmp_path: Path, monkeypatch) -> None:
    copy = shutil.copyfile

    def swapped(source: Path, target: Path) -> Path:
        change(Path(source), "UPDATE items SET person_id = 'somebody else'")
        return copy(source, target)

    monkeypatch.setattr("vitreid.service.gallery.maintenance.restoring.shutil.copyfile", swapped)
    with pytest.raises(BackupDamaged, match="changed while it was copied"):
        restore(kept, tmp_path / "new")


def test_no_connection_trusts_a_schema(gallery) -> None:
    with gallery._store.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA trusted_schema").scalar() == 0
    with closing(connect(gallery._store.database.path)) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


@pytest.mark.parametrize("name", ["kept*", "k[a-z]pt", "k?pt"])
def test_a_dropped_backup_takes_nothing_else_along(name: str, gallery, tmp_path: Path) -> None:
    told = back_up(gallery, tmp_path / name, NOW)
    others = [tmp_path / f".{other}.tmp" for other in ("kept.0123abcd", f"{name}.notes", f"{name}.0123abcd")]
    for other in others:
        other.mkdir()
        (other / "thesis.txt").write_text("mine")
    left = tmp_path / f".{name}.89abcdef.tmp"
    left.mkdir()
    (left / FILE).write_bytes(b"half a copy")
    (tmp_path / name / "notes.txt").write_text("beside the backup")
    assert drop_backup(gallery, told.id, NOW) == tmp_path / name
    assert not left.exists()
    assert [(other / "thesis.txt").read_text() for other in others] == ["mine"] * 3
    assert [path.name for path in (tmp_path / name).iterdir()] == ["notes.txt"]


def test_a_place_from_a_foreign_list_deletes_nothing(gallery, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with gallery._store.database.writing() as connection:
        connection.execute(backups.insert().values(id="x", created_at=NOW, seq=1, place=str(mine)))
    with pytest.raises(Exception, match="not at"):
        drop_backup(gallery, "x", NOW)
    assert (mine / "thesis.txt").exists()


def test_a_backup_behind_a_link_is_gone_with_the_link(kept: Path, gallery, tmp_path: Path) -> None:
    told = json.loads((kept / MANIFEST).read_text())["id"]
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    drop_backup(gallery, told, NOW)
    assert not kept.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", [verify, describe, lambda folder: erase_items_of(folder)])
def test_a_command_reads_the_pages_once(command: Callable[[Path], object], gallery) -> None:
    gallery.close()
    asked: list[str] = []

    def note(*given: Any) -> None:
        asked.append(str(given[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        command(gallery.folder)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert sum("integrity_check" in statement for statement in asked) == 1


def erase_items_of(folder: Path) -> None:
    with Gallery.open_existing(folder) as opened:
        erase_items(opened, [1], None)


@pytest.fixture
def saved(gallery) -> Path:
    """The gallery's folder, with a snapshot."""
    gallery.write_snapshot()
    gallery.close()
    return gallery.folder


def describe_files(folder: Path) -> None:
    [path] = snapshot.snapshots(folder)
    facts = {
        name: {"bytes": (path / name).stat().st_size, "sha256": hashlib.sha256((path / name).read_bytes()).hexdigest()}
        for name in (INDEX_FILE, COLUMNS_FILE)
    }
    manifest = json.loads((path / snapshot.MANIFEST).read_text())
    (path / snapshot.MANIFEST).write_text(json.dumps(manifest | {"files": facts, "checksum": ""}))


def rebuilt(folder: Path, open_gallery, monkeypatch) -> bool:
    built: list[str] = []
    build = vars(SearchView)["build"].__func__
    monkeypatch.setattr(SearchView, "build", classmethod(lambda cls, *given: built.append("") or build(cls, *given)))
    with open_gallery(index="exact") as opened:
        [matches] = opened.search(opened.embeddings([7]), 3)
        assert matches[0].item.id == 7
    return bool(built)


@pytest.mark.parametrize("far", [2**40, -5, 10_000])
def test_a_snapshot_with_ids_out_of_range_is_not_used(far: int, saved: Path, open_gallery, monkeypatch) -> None:
    [path] = snapshot.snapshots(saved)
    index = ExactIndex.load(path / INDEX_FILE, 16)
    ids, rows = index.rows
    ids = ids.copy()
    ids[0] = far
    monkeypatch.setattr(ExactIndex, "rows", property(lambda self: (ids, rows)))
    index.save(path / INDEX_FILE)
    monkeypatch.undo()
    describe_files(saved)
    assert rebuilt(saved, open_gallery, monkeypatch)


def test_a_snapshot_with_columns_out_of_range_is_not_used(saved: Path, open_gallery, monkeypatch) -> None:
    [path] = snapshot.snapshots(saved)
    with np.load(path / COLUMNS_FILE) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    values["ids"] = values["ids"].copy()
    values["ids"][-1] = 2**50
    with (path / COLUMNS_FILE).open("wb") as file:
        np.savez(file, **values)
    describe_files(saved)
    assert rebuilt(saved, open_gallery, monkeypatch)


def test_compressed_columns_are_not_unpacked(saved: Path, open_gallery, monkeypatch) -> None:
    [path] = snapshot.snapshots(saved)
    with np.load(path / COLUMNS_FILE) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    with (path / COLUMNS_FILE).open("wb") as file:
        np.savez_compressed(file, **values)
    describe_files(saved)
    assert rebuilt(saved, open_gallery, monkeypatch)


def test_a_search_that_hangs_or_fails_is_tried_before_a_snapshot_is_used(
    saved, open_gallery, monkeypatch, caplog
) -> None:
    load, end = vars(MatrixIndex)["load"].__func__, threading.Event()

    def hostile(cls: type[ExactIndex], *given: Any) -> ExactIndex:
        index = load(cls, *given)
        monkeypatch.setattr(index, "search", lambda *_: end.wait(), raising=False)
        return index

    monkeypatch.setattr(ExactIndex, "load", classmethod(hostile))
    monkeypatch.setattr(trial, "TRIAL_S", 0.05)
    assert rebuilt(saved, open_gallery, monkeypatch)
    assert "a search did not end within 0.05 s" in caplog.text
    end.set()


def test_a_good_snapshot_is_used(saved: Path, open_gallery, monkeypatch) -> None:
    assert not rebuilt(saved, open_gallery, monkeypatch)


def test_a_database_is_checked_where_nobody_else_does(gallery, open_gallery, monkeypatch) -> None:
    gallery.close()
    checked: list[Path] = []
    monkeypatch.setattr(Database, "check", lambda self: checked.append(self.path))
    open_gallery().close()
    assert checked == [gallery.folder / FILE]
