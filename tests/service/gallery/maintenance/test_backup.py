"""Backups: made while others write, whole or not at all, checked before use; and nothing erased comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from vitreid.service.db import sqlite
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import (
    BackupDamaged,
    BackupNotFound,
    GalleryBusy,
    GalleryDamaged,
    GalleryExists,
    GalleryFull,
    GalleryReadOnly,
    NotAGallery,
)
from vitreid.service.gallery.lock import MaintenanceLock
from vitreid.service.gallery.maintenance import backup, restoring
from vitreid.service.gallery.maintenance.backup import MANIFEST, back_up, check_backup, drop_backup
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.rows.tables import backups

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def gallery(open_gallery, make_items):
    with open_gallery() as opened:
        opened.add(make_items(20, person_id="anna"))
        yield opened


@pytest.fixture
def kept(gallery, tmp_path) -> Path:
    back_up(gallery, tmp_path / "kept", NOW)
    return tmp_path / "kept"


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        return connection.execute("SELECT * FROM items JOIN embeddings_1 ON item_id = id ORDER BY id").fetchall()


def bytes_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def listed(gallery) -> list[str]:
    with gallery._store.database.reading() as connection:
        return list(connection.execute(select(backups.c.place).where(backups.c.purged_at.is_(None))).scalars())


def test_a_backup_is_two_files_that_describe_themselves(gallery, tmp_path):
    out = tmp_path / "kept"
    told = back_up(gallery, out, NOW)
    assert sorted(file.name for file in out.iterdir()) == ["gallery.db", MANIFEST]
    assert check_backup(out) == told
    assert (told.items, told.seq, told.gallery, told.created_at) == (20, 20, "gallery", NOW)
    assert told.lineage == gallery.info().lineage
    assert rows_of(out) == rows_of(gallery.folder)
    assert listed(gallery) == [str(out)]


def test_a_backup_holds_nothing_of_what_was_deleted_before(gallery, make_items, tmp_path):
    [gone] = make_items(1, seed=9, person_id="somebody else entirely", metadata={"note": "with a blue umbrella"})
    [result] = gallery.add([gone])
    gallery.erase([result.id])  # and not purged
    back_up(gallery, tmp_path / "kept", NOW)
    content = bytes_below(tmp_path / "kept")
    for trace in (gone.embedding.tobytes(), gone.image, b"somebody else", b"umbrella", gone.image_hash.encode()):
        assert trace not in content
    assert b"anna" in content


def test_writers_go_on_during_a_backup(gallery, make_items, tmp_path, monkeypatch):
    monkeypatch.setattr("vitreid.service.db.sqlite.STEPS_BETWEEN_CALLS", 20)
    added: list[int] = []

    def meanwhile(done: int, total: int) -> None:  # in the middle of the copy, from another thread as in a service
        new = make_items(1, seed=100 + len(added))
        thread = threading.Thread(target=lambda: added.append(gallery.add(new)[0].id))
        thread.start()
        thread.join(30)
        assert total > 0

    told = back_up(gallery, tmp_path / "kept", NOW, meanwhile)
    assert added == list(range(21, 21 + len(added)))
    assert 20 <= told.items == told.seq < len(gallery)  # one state of the gallery, and not the last


def test_places_that_are_refused(gallery, tmp_path):
    (tmp_path / "taken").mkdir()
    for place, words in ((tmp_path / "taken", "exists already"), (gallery.folder / "kept", "lies in the gallery")):
        with pytest.raises(BadParameter, match=words):
            back_up(gallery, place, NOW)
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryReadOnly, match="cannot be written"):
        back_up(gallery, tmp_path / "file" / "kept", NOW)
    assert listed(gallery) == []


@pytest.mark.parametrize("step", ["copy_to", "_describe", "sha256_of"])
def test_a_backup_that_fails_leaves_nothing(step, gallery, tmp_path, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gallery._store.database if step == "copy_to" else backup, step, fail)
    with pytest.raises(KeyboardInterrupt):
        back_up(gallery, tmp_path / "kept", NOW)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gallery"]
    assert listed(gallery) == []


def test_a_full_disk_is_reported(gallery, tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "sha256_of", full)
    with pytest.raises(GalleryFull, match="No space left"):
        back_up(gallery, tmp_path / "kept", NOW)


def test_ctrl_c_ends_a_copy(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr("vitreid.service.db.sqlite.STEPS_BETWEEN_CALLS", 1)

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt  # as a signal's handler does while the copy runs

    with pytest.raises(KeyboardInterrupt):
        back_up(gallery, tmp_path / "kept", NOW, interrupted)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "is no backup"),
        (lambda folder: (folder / "gallery.db").unlink(), "cannot be read"),
        (lambda folder: os.truncate(folder / "gallery.db", 8192), "is damaged: 8,192 bytes"),
        (lambda folder: flip(folder / "gallery.db", 9000), "is damaged"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "Invalid JSON"),
        (lambda folder: rewrite(folder / MANIFEST, items="many"), "items is "),
        (lambda folder: rewrite(folder / MANIFEST, format_version=9), "update vitreid"),
    ],
)
def test_a_damaged_backup_is_reported_and_changes_nothing(damage, words, kept, gallery):
    damage(kept)
    before = rows_of(gallery.folder)
    with pytest.raises(BackupDamaged, match=words) as error:
        restore(kept, gallery.folder, replace=True)
    assert "\n" not in str(error.value)
    assert rows_of(gallery.folder) == before


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def rewrite(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values | {"checksum": ""}))


def test_a_backup_becomes_a_gallery(kept, gallery, open_gallery, tmp_path):
    told = restore(kept, tmp_path / "new" / "gallery")
    assert (told.items, told.erased_again) == (20, 0)
    assert rows_of(tmp_path / "new" / "gallery") == rows_of(gallery.folder)
    with open_gallery(tmp_path / "new" / "gallery") as restored:
        query = gallery.embeddings([7])
        assert [match.item.id for match in restored.search(query, 20)[0]] == [
            match.item.id for match in gallery.search(query, 20)[0]
        ]


def test_what_stands_in_the_way_of_a_restoration(kept, gallery, tmp_path):
    with pytest.raises(GalleryExists, match="--replace"):
        restore(kept, gallery.folder)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"")
    with pytest.raises(NotAGallery, match=r"beach\.jpg"):
        restore(kept, tmp_path / "holiday")
    lock = MaintenanceLock.acquire(gallery.folder, "vitreid serve")
    with pytest.raises(GalleryBusy, match="vitreid serve"):
        restore(kept, gallery.folder, replace=True)
    lock.release()


def test_a_replaced_gallery_is_what_it_was_without_what_was_erased_since(kept, gallery, make_items):
    gone = make_items(20, person_id="anna")[4]
    [later] = gallery.add(make_items(1, seed=3, person_id="later"))
    receipt = gallery.erase([5, later.id])
    gallery.delete(6)
    gallery.update(7, {"person_id": "carl"})
    seq = gallery.info().seq
    told = restore(kept, gallery.folder, replace=True)
    assert (told.items, told.erased_again) == (18, 2)
    assert [item.id for item in gallery.items()] == [*range(1, 5), *range(7, 21)]
    assert gallery.get(7).person_id == "anna"
    assert gallery.receipt(receipt.id).item_ids == (5, later.id)
    assert listed(gallery) == [str(kept)]
    assert gallery.info().seq > seq
    content = bytes_below(gallery.folder)
    for trace in (gone.embedding.tobytes(), gone.image, gone.image_hash.encode(), b"later", b"carl"):
        assert trace not in content
    [added] = gallery.add(make_items(1, seed=4))
    assert added.id > later.id


def test_another_gallery_is_replaced_as_it_is(kept, open_gallery, make_items, tmp_path):
    with open_gallery(tmp_path / "other") as other:
        other.add(make_items(3, seed=8))
        other.erase([1, 2])
        told = restore(kept, other.folder, replace=True)
    assert (told.items, told.erased_again) == (20, 0)
    assert rows_of(tmp_path / "other") == rows_of(tmp_path / "gallery")


def test_snapshots_of_what_is_replaced_go(kept, gallery):
    (gallery.folder / "snapshots" / "snapshot-000001").mkdir(parents=True)
    restore(kept, gallery.folder, replace=True)
    assert not list((gallery.folder / "snapshots").iterdir())


def test_an_erasure_during_a_restoration_is_not_lost(kept, gallery, monkeypatch):
    carry = restoring._carry_over

    def with_an_erasure(*arguments: Any) -> tuple[int, int]:
        carried = carry(*arguments)
        if len(gallery) == 20:
            gallery.erase([3])
        return carried

    monkeypatch.setattr(restoring, "_carry_over", with_an_erasure)
    told = restore(kept, gallery.folder, replace=True)
    assert (told.items, told.erased_again) == (19, 1)
    assert 3 not in gallery.ids()


def test_a_writer_that_does_not_end_is_reported(kept, gallery, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(gallery.folder / "gallery.db", isolation_level=None)) as rival:
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryBusy, match="another process"):
            restore(kept, gallery.folder, replace=True)
        rival.execute("ROLLBACK")
    assert len(gallery) == 20


def test_a_gallery_that_is_written_to_all_the_time_is_reported(kept, gallery, make_items, monkeypatch):
    carry = restoring._carry_over

    def with_an_addition(*arguments: Any) -> tuple[int, int]:
        carried = carry(*arguments)
        gallery.add(make_items(1, seed=len(gallery)))
        return carried

    monkeypatch.setattr(restoring, "_carry_over", with_an_addition)
    with pytest.raises(GalleryBusy, match="again and again"):
        restore(kept, gallery.folder, replace=True)
    assert len(gallery) == 20 + restoring.ATTEMPTS


@pytest.mark.slow
@pytest.mark.parametrize("step", ["_carry_over", "_install"])
@pytest.mark.parametrize("after", [False, True])
def test_a_restoration_killed_between_its_steps_leaves_the_old_or_the_new(step, after, kept, gallery, monkeypatch):
    gallery.erase([5])
    done = getattr(restoring, step)

    def killed(*arguments: Any) -> None:
        if after:
            done(*arguments)
        raise SystemExit

    monkeypatch.setattr(restoring, step, killed)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process tidies nothing up
    with pytest.raises(SystemExit):
        restore(kept, gallery.folder, replace=True)
    monkeypatch.undo()
    assert gallery.ids() == [*range(1, 5), *range(6, 21)]
    told = restore(kept, gallery.folder, replace=True)
    assert told.items == 19
    assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 30)[0]) == 19


def test_a_failure_while_pages_are_replaced_undoes_them(kept, gallery, make_items, monkeypatch):
    gallery.add(make_items(500, seed=6))
    before = rows_of(gallery.folder)
    looks = 0
    reading = gallery._store.database.__class__.reading

    def fails_at_the_third(self, **how):
        nonlocal looks
        looks += self.path == gallery._store.database.path and not how
        if looks == 3:  # the first reads what was erased
            raise SystemExit
        return reading(self, **how)

    monkeypatch.setattr(gallery._store.database.__class__, "reading", fails_at_the_third)
    with pytest.raises(SystemExit):
        restore(kept, gallery.folder, replace=True)
    monkeypatch.undo()
    assert rows_of(gallery.folder) == before
    gallery.add(make_items(1, seed=7))


def test_a_gallery_too_damaged_to_read_is_reported_with_the_way_out(kept, gallery, tmp_path):
    gallery.close()
    (gallery.folder / "gallery.db").write_text("not a database\n" * 500)
    with pytest.raises(GalleryDamaged, match="move it away"):
        restore(kept, gallery.folder, replace=True)


def test_a_dropped_backup_is_gone_and_said_to_be(kept, gallery):
    [backup_id] = [check_backup(kept).id]
    assert drop_backup(gallery, backup_id, NOW) == kept
    assert not kept.exists()
    assert listed(gallery) == []
    for wrong in (backup_id, "nothing"):
        with pytest.raises(BackupNotFound, match="vitreid gallery info"):
            drop_backup(gallery, wrong, NOW)


def test_a_backup_that_was_moved_is_dropped_by_saying_so(kept, gallery, tmp_path):
    backup_id = check_backup(kept).id
    kept.rename(tmp_path / "elsewhere")
    with pytest.raises(BackupNotFound, match="--gone"):
        drop_backup(gallery, backup_id, NOW)
    assert listed(gallery) == [str(kept)]
    back_up(gallery, kept, NOW)
    with pytest.raises(BackupNotFound, match="nothing was removed"):
        drop_backup(gallery, backup_id, NOW)
    drop_backup(gallery, backup_id, NOW, gone=True)
    assert len(listed(gallery)) == 1
    assert (tmp_path / "elsewhere").exists()


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from vitreid.service.gallery.maintenance import backup
from vitreid.service.gallery import Gallery

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

step, folder, out = sys.argv[1:]
with Gallery.open_existing(Path(folder)) as gallery:
    if step == "after":
        backup.back_up(gallery, Path(out), datetime.now(UTC))
        killed()
    setattr(Path if step == "rename" else backup, step, killed)
    backup.back_up(gallery, Path(out), datetime.now(UTC))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["_describe", "rename", "after"])
def test_a_killed_backup_is_whole_or_no_backup_and_always_known(step, gallery, tmp_path):
    out = tmp_path / "kept"
    done = subprocess.run([sys.executable, "-c", KILLED, step, str(gallery.folder), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert out.exists() == (step == "after")
    if step == "after":
        assert check_backup(out).items == 20
    assert listed(gallery) == [str(out)]
    [remaining] = [each for each in gallery.erase([1]).remaining if each.kind == "backup"]
    drop_backup(gallery, remaining.id, NOW, gone=step != "after")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gallery"]
    assert b"anna" in bytes_below(gallery.folder)
