"""Galleries by name: found, made, dropped, and one that cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitreid.service.errors import BadParameter
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.errors import BundleMismatch, GalleryNeeded, GalleryNotFound, NotAGallery
from vitreid.service.gallery.galleries import Galleries

BUNDLE, DIMENSION = "b" * 64, 4
UNIT = np.array([1, 0, 0, 0], dtype=np.float32)


def opener(folder: Path) -> Gallery:
    return Gallery.open(folder, bundle_id=BUNDLE, dimension=DIMENSION)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], Galleries]:
    return lambda: Galleries(tmp_path, opener, command="test").open_all()


def test_default_is_made_and_others_are_found_again(opened: Callable[[], Galleries]) -> None:
    with opened() as galleries:
        assert galleries.names() == ["default"]
        night, created = galleries.create("night")
        assert created
        night.add([NewItem(embedding=UNIT, image_hash="1" * 64)])
        assert galleries.create("night") == (night, False)
    with opened() as galleries:
        assert galleries.names() == ["default", "night"]
        assert len(galleries.get("night")) == 1
        assert len(galleries.get("default")) == 0


def test_a_gallery_that_is_not_there(opened: Callable[[], Galleries]) -> None:
    with opened() as galleries:
        for name in ("night", "", "..", "default/"):
            with pytest.raises(GalleryNotFound):
                galleries.get(name)
            with pytest.raises(GalleryNotFound):
                galleries.drop(name)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "_a", ".a", "a" * 64, "a b", "ä", "a\n"])
def test_names_that_a_gallery_cannot_have(opened: Callable[[], Galleries], tmp_path: Path, name: str) -> None:
    with opened() as galleries, pytest.raises(BadParameter, match="cannot be called"):
        galleries.create(name)
    assert [path.name for path in tmp_path.iterdir()] == ["default"]


def test_a_dropped_gallery_is_gone_with_its_files(opened: Callable[[], Galleries], tmp_path: Path) -> None:
    with opened() as galleries:
        galleries.create("night")[0].add([NewItem(embedding=UNIT, image_hash="1" * 64, image=b"jpeg")])
        gone = galleries.drop("night")
        assert (gone.items, gone.images) == (1, 1)
        assert galleries.names() == ["default"]
        assert [path.name for path in tmp_path.iterdir()] == ["default"]
        assert len(galleries.create("night")[0]) == 0


def test_a_gallery_behind_links_is_gone_with_what_they_lead_to(
    opened: Callable[[], Galleries], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (disk / "photos").mkdir()
    (disk / "photos" / "mine.jpg").write_text("mine")
    with opened() as galleries:
        galleries.create("night")[0].add([NewItem(embedding=UNIT, image_hash="1" * 64)])
        galleries.get("night").write_snapshot()
    (tmp_path / "night" / "snapshots").rename(disk / "snapshots")
    (tmp_path / "night" / "snapshots").symlink_to(disk / "snapshots")
    (tmp_path / "night" / "album").symlink_to(disk / "photos")
    (tmp_path / "night").rename(disk / "night")
    (tmp_path / "night").symlink_to(disk / "night")
    with opened() as galleries:
        assert galleries.drop("night").remaining == []
    assert [path.name for path in tmp_path.iterdir()] == ["default"]
    assert [path.name for path in disk.iterdir()] == ["photos"]  # it was never the gallery's
    assert (disk / "photos" / "mine.jpg").exists()


def test_files_that_cannot_be_removed_are_named(
    opened: Callable[[], Galleries], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as galleries:
        galleries.create("night")
        monkeypatch.setattr("vitreid.service.gallery.maintenance.removal.shutil.rmtree", lambda *_, **__: None)
        assert "gallery.db" in galleries.drop("night").remaining
    assert "gallery night was dropped, but of its files" in caplog.text


def test_default_stays(opened: Callable[[], Galleries]) -> None:
    with opened() as galleries:
        with pytest.raises(GalleryNeeded):
            galleries.drop("default")
        assert galleries.names() == ["default"]


def test_what_an_interrupted_drop_left_goes_at_the_next_start(
    opened: Callable[[], Galleries], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as galleries, monkeypatch.context() as patched:
        galleries.create("night")
        patched.setattr("vitreid.service.gallery.maintenance.removal.shutil.rmtree", lambda *_, **__: None)
        galleries.drop("night")
    assert len(list(tmp_path.iterdir())) == 2
    with opened() as galleries:
        assert galleries.names() == ["default"]
    assert [path.name for path in tmp_path.iterdir()] == ["default"]


def test_one_that_cannot_be_opened_is_listed_and_stops_nothing(
    opened: Callable[[], Galleries], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Gallery.open(tmp_path / "other", bundle_id="c" * 64, dimension=DIMENSION).close()
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "notes.txt").write_text("not a gallery")
    with opened() as galleries:
        assert galleries.names() == ["default", "other", "stray"]
        assert {name: type(error) for name, error in galleries.failures().items()} == {
            "other": BundleMismatch,
            "stray": NotAGallery,
        }
        told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert [line.partition(":")[0] for line in told] == [
            "gallery other cannot be used",
            "gallery stray cannot be used",
        ]
        for use in (galleries.get, galleries.create, galleries.drop):
            with pytest.raises(BundleMismatch):
                use("other")
    assert (tmp_path / "stray" / "notes.txt").exists()


def test_default_stops_the_start_when_it_cannot_be_opened(opened: Callable[[], Galleries], tmp_path: Path) -> None:
    Gallery.open(tmp_path / "default", bundle_id="c" * 64, dimension=DIMENSION).close()
    with pytest.raises(BundleMismatch):
        opened()
