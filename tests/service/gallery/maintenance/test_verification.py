"""Verification: a sound gallery has no findings, and each kind of damage is found and named."""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitreid.service.gallery.errors import GalleryNotFound, NotAGallery
from vitreid.service.gallery.maintenance import recall_check
from vitreid.service.gallery.maintenance.verification import verify
from vitreid.service.gallery.snapshots.snapshot import snapshots


def jpeg() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (32, 64), "red").save(content, "JPEG")
    return content.getvalue()


@pytest.fixture
def folder(open_gallery, make_items, tmp_path) -> Path:
    """A closed gallery with two snapshots."""
    with open_gallery(index="flat") as gallery:
        gallery.add(make_items(40, image=jpeg(), metadata={"door": 1, "list": [1], "note": "ä"}))
        gallery.write_snapshot()
        gallery.add(make_items(20, seed=1, image=None))
        gallery.write_snapshot()
    return tmp_path / "gallery"


def changed(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def told(folder: Path, **options: Any) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in verify(folder, **options).findings]


def test_a_sound_gallery_has_no_findings(folder):
    heard: list[tuple[str, int, int]] = []
    verified = verify(folder, decode_images=True, progress=lambda *told: heard.append(told))
    assert verified.findings == ()
    assert verified.counts == {"items": 60, "embeddings": 60, "images": 40, "snapshots": 2}
    assert verified.recall == 1.0
    assert heard == [("items", 60, 60), ("embeddings", 60, 60), ("images", 40, 40)]


def test_an_empty_gallery_has_no_findings(open_gallery, tmp_path):
    open_gallery().close()
    assert told(tmp_path / "gallery", decode_images=True) == []


def test_where_there_is_no_gallery(tmp_path):
    with pytest.raises(GalleryNotFound):
        verify(tmp_path / "nothing")
    (tmp_path / "beach.jpg").write_bytes(b"")
    with pytest.raises(NotAGallery):
        verify(tmp_path)


@pytest.mark.parametrize(
    ("statement", "where", "what"),
    [
        ("UPDATE embeddings_1 SET checksum = checksum + 1 WHERE item_id = 7", "item 7", "does not match its checksum"),
        ("UPDATE embeddings_1 SET embedding = x'00', checksum = 3523407757 WHERE item_id = 7", "item 7", "shape"),
        ("DELETE FROM embeddings_1 WHERE item_id = 7", "item 7", "has no embedding"),
        ("UPDATE items SET metadata = '{' WHERE id = 7", "item 7", "cannot be read"),
        ("UPDATE items SET created_at = 'once' WHERE id = 7", "item 7", "cannot be read"),
        ("UPDATE items SET metadata = '{\"door\": 2}' WHERE id = 7", "item 7", "other metadata"),
        ("DELETE FROM item_metadata WHERE item_id = 7", "item 7", "other metadata"),
        ("UPDATE gallery SET last_seq = 3", "table gallery", "items go up to 60"),
        ("INSERT INTO deletions VALUES (99, 1, '2026-01-01T00:00:00.000000Z')", "table gallery", "deletions go up to"),
        ("UPDATE generations SET state = 'kept'", "table generations", "generation 1"),
        ("INSERT INTO images VALUES (99, x'00')", "table images", "belongs to nothing in items"),
    ],
)
def test_rows_that_contradict_each_other_are_found(statement, where, what, folder):
    changed(folder, "PRAGMA foreign_keys = OFF", statement)
    findings = told(folder)
    assert [place for place, _ in findings] == [where]
    assert what in findings[0][1]


def test_images_are_decoded_when_asked(folder):
    changed(folder, "UPDATE images SET image = substr(image, 1, 100) WHERE item_id = 3")
    assert told(folder) == []
    [(where, what)] = told(folder, decode_images=True)
    assert where == "item 3"
    assert "its image" in what


@pytest.mark.parametrize("damage", [lambda path: path.write_text("no\n" * 9999), lambda path: os.truncate(path, 9000)])
def test_a_file_that_is_no_database_is_a_finding(damage: Callable[[Path], object], folder):
    damage(folder / "gallery.db")
    [(where, what), *_] = told(folder)
    assert where == "gallery.db"
    assert "restore the folder from a backup" in what


def test_a_flipped_page_is_found(folder):
    path = folder / "gallery.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 3 + 8] = b"\xff" * 8  # the head of a page
    path.write_bytes(content)
    assert told(folder)[0][0] == "gallery.db"


def test_a_snapshot_with_a_flipped_bit_is_found(folder):
    [newest, _] = snapshots(folder)
    path = newest / "index"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    [(where, what)] = told(folder)
    assert (where, "index is not what was written" in what) == (newest.name, True)


def test_an_index_that_answers_otherwise_is_found(folder, monkeypatch):
    from vitreid.service.gallery.gallery import Gallery

    search = Gallery.search
    faults = {
        "gave 3 instead of 10": lambda answers: [answer[:3] for answer in answers],
        "not those of the stored embeddings": lambda answers: [
            [type(match)(match.item, match.score - 0.01) for match in answer] for answer in answers
        ],
    }
    for words, fault in faults.items():
        monkeypatch.setattr(Gallery, "search", lambda *given, fault=fault: fault(search(*given)))
        findings = told(folder)
        assert {where for where, _ in findings} == {"index"}
        assert any(words in what for _, what in findings)

    def worst(gallery: Gallery, embeddings: np.ndarray, k: int) -> list[list[Any]]:
        every = search(gallery, embeddings, 60)
        return [answer[-k:] for answer in every]

    monkeypatch.setattr(Gallery, "search", worst)
    [(_, what)] = told(folder)
    assert "searches find 0.0% of the nearest items" in what


def test_who_is_written_to_all_the_time_is_not_accused(folder, open_gallery, make_items, monkeypatch):
    scores, seeds = recall_check._all_scores, iter(range(100, 200))
    with open_gallery() as rival:

        def with_an_addition(*given: Any) -> object:
            rival.add(make_items(1, seed=next(seeds)))
            return scores(*given)

        monkeypatch.setattr(recall_check, "_all_scores", with_an_addition)
        verified = verify(folder)
    assert (verified.recall, verified.findings) == (None, ())
