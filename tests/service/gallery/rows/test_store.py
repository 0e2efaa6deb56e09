"""Damage, death and erasure: what is on disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vitreid.service.db import sqlite
from vitreid.service.errors import GalleryError
from vitreid.service.gallery.errors import (
    BundleMismatch,
    GalleryBusy,
    GalleryDamaged,
    GalleryFull,
    GalleryReadOnly,
    GalleryTooNew,
    NotAGallery,
)
from vitreid.service.gallery.rows import database
from vitreid.service.gallery.rows.database import FILE, FORMAT


@pytest.fixture
def filled(open_gallery, make_items, tmp_path) -> Path:
    """The file of a closed gallery with 50 items."""
    with open_gallery() as gallery:
        gallery.add(make_items(50))
    return tmp_path / "gallery" / FILE


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def one_line(error: pytest.ExceptionInfo[GalleryError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_settings_keep_acknowledged_rows_and_erase_deleted_ones(filled):
    with closing(sqlite.connect(filled)) as connection:
        values = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_closed_gallery_is_one_file(filled):
    assert [entry.name for entry in filled.parent.iterdir()] == [FILE]


@pytest.mark.parametrize("keep", [0, 1, 99, 100, 4096, 10_000])
def test_a_truncated_file_is_reported(keep, filled, open_gallery):
    os.truncate(filled, keep)
    with pytest.raises(GalleryDamaged) as error:
        open_gallery()
    one_line(error, str(filled), "restore the folder from a backup")


def test_text_instead_of_a_database_is_reported(filled, open_gallery):
    filled.write_text("not a database\n" * 500)
    with pytest.raises(GalleryDamaged) as error:
        open_gallery()
    one_line(error, "file is not a database")


@pytest.mark.slow
def test_no_flipped_bit_of_the_header_is_believed(filled, open_gallery):
    content = filled.read_bytes()
    refused = 0
    for place in range(100):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        filled.write_bytes(flipped)
        try:
            with open_gallery(index="exact") as gallery:
                assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 100)[0]) == 50
        except GalleryDamaged:
            refused += 1
        for leftover in filled.parent.glob(f"{FILE}-*"):
            leftover.unlink()
    assert refused >= 16  # the rest of the header holds counters and numbers that nothing depends on


@pytest.mark.parametrize(
    "change", ["metadata = '{'", "created_at = 'once'", "source = CAST(x'ff' AS TEXT)", "box = '[1,'"]
)
def test_a_row_that_cannot_be_read_is_reported(change, filled, open_gallery):
    changed(filled, f"UPDATE items SET {change} WHERE id = 7")
    with open_gallery() as gallery:
        assert gallery.get(6).id == 6
        with pytest.raises(GalleryDamaged) as error:
            gallery.get(7)
    one_line(error, str(filled))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE embeddings_1 SET embedding = x'00'", "does not match its checksum"),
        ("UPDATE embeddings_1 SET embedding = zeroblob(64)", "does not match its checksum"),
        ("UPDATE embeddings_1 SET checksum = checksum + 1", "does not match its checksum"),
        ("DELETE FROM embeddings_1", "is missing"),
        ("UPDATE items SET captured_at = 'noon'", "captured_at"),
    ],
)
def test_a_stored_embedding_or_time_that_cannot_be_right_is_reported(change, reason, filled, open_gallery):
    key = "id" if "items" in change else "item_id"
    changed(filled, f"{change} WHERE {key} = 7")
    with pytest.raises(GalleryDamaged) as error:
        open_gallery()
    one_line(error, str(filled), reason)
    assert "captured_at" in reason or "item 7" in str(error.value)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE gallery", "no such table: gallery"),
        ("DELETE FROM gallery", "no row in table gallery"),
        ("ALTER TABLE gallery RENAME COLUMN dimension TO d", "table 'gallery' is not defined as it must be"),
    ],
)
def test_another_database_is_reported(statement, reason, filled, open_gallery):
    changed(filled, statement)
    with pytest.raises(GalleryDamaged) as error:
        open_gallery()
    one_line(error, reason)


def test_a_newer_gallery_is_reported(filled, open_gallery):
    changed(filled, "UPDATE gallery SET format_version = 99")
    with pytest.raises(GalleryTooNew) as error:
        open_gallery()
    one_line(error, "99", str(FORMAT.version), "update vitreid")


def test_another_bundle_is_reported_with_both_ids(filled, open_gallery):
    with pytest.raises(BundleMismatch) as error:
        open_gallery(bundle_id="b" * 64)
    one_line(error, "a" * 12, "b" * 12, "vitreid gallery reembed")
    with pytest.raises(BundleMismatch) as error:
        open_gallery(dimension=32)
    one_line(error, "16", "32")


def test_a_folder_of_something_else_is_left_alone(tmp_path, open_gallery):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "beach.jpg").write_bytes(b"")
    with pytest.raises(NotAGallery) as error:
        open_gallery(folder)
    one_line(error, "'beach.jpg'", "empty or a new folder")
    assert [entry.name for entry in folder.iterdir()] == ["beach.jpg"]
    with pytest.raises(NotAGallery, match="is a file"):
        open_gallery(folder / "beach.jpg")


def test_an_empty_folder_becomes_a_gallery(tmp_path, open_gallery):
    folder = tmp_path / "new"
    folder.mkdir()
    open_gallery(folder).close()
    assert [entry.name for entry in folder.iterdir()] == [FILE]


def test_a_rival_that_made_the_gallery_first_wins(tmp_path, open_gallery, monkeypatch):
    publish = database.publish

    def after_a_rival(made: Path, path: Path) -> bool:
        monkeypatch.setattr(database, "publish", publish)
        open_gallery(path.parent, bundle_id="b" * 64).close()
        return publish(made, path)

    monkeypatch.setattr(database, "publish", after_a_rival)
    with pytest.raises(BundleMismatch):
        open_gallery()
    assert [entry.name for entry in (tmp_path / "gallery").iterdir()] == [FILE]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path, open_gallery):
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryReadOnly, match="cannot be made"):
        open_gallery(tmp_path / "file" / "gallery")


def test_a_writer_elsewhere_is_waited_for_then_told(filled, open_gallery, make_items, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(filled, isolation_level=None)) as rival, open_gallery() as gallery:
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryBusy, match="another process is writing"):
            gallery.add(make_items(1, seed=5))
        assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 5)[0]) == 5
        rival.execute("ROLLBACK")
        gallery.add(make_items(1, seed=5))
        assert len(gallery) == 51


def test_a_full_disk_is_reported_and_nothing_half_written(filled, open_gallery, make_items, monkeypatch):
    pages = filled.stat().st_size // 4096 + 3
    monkeypatch.setattr(sqlite, "SETTINGS", (*sqlite.SETTINGS, f"PRAGMA max_page_count = {pages}"))
    with open_gallery() as gallery:
        with pytest.raises(GalleryFull, match="free some disk space"):
            gallery.add(make_items(500, seed=8))
        assert len(gallery) == len(gallery.items()) == gallery.info().images == 50
        gallery.add(make_items(1, seed=8))
        assert len(gallery) == 51


FILLING = """
import resource, sys
import numpy as np
from pathlib import Path
from vitreid.service.gallery.errors import GalleryFull
from vitreid.service.gallery import Gallery, NewItem

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
with Gallery.open(folder, bundle_id="a" * 64, dimension=16, index="exact") as gallery:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for number in range(100_000):
        row = np.random.default_rng(number).standard_normal(16).astype(np.float32)
        try:
            [added] = gallery.add([NewItem(row / np.linalg.norm(row), f"number {number}", b"x" * 4000)])
        except GalleryFull as error:
            print(error)
            break
        print(added.id)
    assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 100_000)[0]) == len(gallery)
"""


@pytest.mark.slow
def test_a_file_that_cannot_grow_ends_additions_and_loses_none(tmp_path, open_gallery, make_items):
    folder = tmp_path / "gallery"
    open_gallery(folder).close()
    command = [sys.executable, "-c", FILLING, str(folder), "800000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    *acknowledged, told = done.stdout.splitlines()
    assert "free some disk space" in told
    assert len(acknowledged) > 10
    with open_gallery(folder) as gallery:
        assert [str(item.id) for item in gallery.items(limit=100_000)] == acknowledged
        assert all(gallery.image(int(item_id)) for item_id in acknowledged)
        gallery.add(make_items(3))


def test_nothing_of_a_deleted_item_is_left_once_the_log_is_truncated(filled, open_gallery, make_items):
    gone, kept = make_items(2, seed=7)
    with open_gallery() as gallery:
        gallery.add([gone, kept])
        before = b"".join(file.read_bytes() for file in filled.parent.iterdir())
        assert gone.embedding.tobytes() in before
        assert gone.image in before
        gallery.delete(51)
        gallery._store.database.truncate_log()
        after = b"".join(file.read_bytes() for file in filled.parent.iterdir())
        assert gone.embedding.tobytes() not in after
        assert gone.embedding.tobytes()[:32] not in after
        assert gone.image[:16] + gone.embedding.tobytes()[:16] not in after
        assert kept.image in after
