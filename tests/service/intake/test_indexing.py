"""Folders into galleries."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitreid.bundle import Bundle, read_image
from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.errors import FolderNotFound, IndexingError, NoImages, TableError
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryFull
from vitreid.service.intake import folders
from vitreid.service.intake.boxes import BoxSource
from vitreid.service.intake.folders import find_images, scan_folder
from vitreid.service.intake.indexing import IndexingInterrupted
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice

from .helpers import embed_images, index_images


@pytest.fixture
def embedder(tiny_bundle: Path) -> Embedder:
    return Embedder(Bundle.open(tiny_bundle), RuntimeChoice("fake"))


@pytest.fixture
def gallery(tmp_path: Path, embedder: Embedder):
    with Gallery.open(
        tmp_path / "gallery", bundle_id=embedder.manifest.bundle_id, dimension=48, index="exact"
    ) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """50 images of 5 persons in front of 2 cameras, in two folders."""
    images = tmp_path / "images"
    for camera in (1, 2):
        (images / f"cam{camera}").mkdir(parents=True)
        for number in range(25):
            pixels = np.random.default_rng([camera, number]).integers(0, 256, (8, 4, 3), dtype=np.uint8)
            name = f"{number % 5 + 1:04d}_c{camera}s1_{number:06d}_00.jpg"
            Image.fromarray(pixels).resize((32, 64)).save(images / f"cam{camera}" / name, quality=95)
    return images


@pytest.fixture
def spoilt(folder: Path) -> list[tuple[str, str]]:
    """Puts files that cannot be used between the good ones."""
    good = next((folder / "cam1").iterdir()).read_bytes()
    contents = {"cam1/empty.jpg": b"", "cam2/cut.JPG": good[:-200], "text.png": b"hello", "zzz.webp": b"RIFF"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (1, 1)).save(folder / "a tiny one.png")
    (folder / "nowhere.jpeg").symlink_to(folder / "is not there")
    reasons = {
        "a tiny one.png": "1 x 1",
        "cam1/empty.jpg": "is empty",
        "cam2/cut.JPG": "is damaged",
        "nowhere.jpeg": "cannot be read",
        "text.png": "is not an image",
        "zzz.webp": "is not an image",
    }
    return sorted(reasons.items())


def rows(gallery: Gallery) -> list[tuple[str | None, ...]]:
    return [(item.source, item.person_id, item.camera_id) for item in gallery.items(limit=1000)]


def test_every_image_becomes_an_item_in_order_of_the_names(folder, gallery, embedder):
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(b"")
    steps: list[tuple[int, int]] = []
    report = index_images(folder, gallery, embedder, batch_size=16, progress=lambda *step: steps.append(step))
    assert (report.added, report.duplicates, report.bad, len(report.ignored)) == (50, 0, [], 2)
    assert report.seconds > 0
    assert report.images_per_s > 0
    assert steps == sorted(steps)
    assert steps[-1] == (50, 50)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("0*.jpg"))
    assert rows(gallery) == [(name, name[5:9], f"c{name[3]}") for name in names]
    first = gallery.items(limit=1)[0]
    content = (folder / names[0]).read_bytes()
    assert first.image_hash == hashlib.sha256(content).hexdigest()
    kept = gallery.image(first.id)
    assert kept is not None
    assert read_image(kept).size == (32, 64)
    [[best, *_]] = gallery.search(embedder.embed([read_image(content)], ["c1"]), 3)
    assert (best.item, best.score) == (first, pytest.approx(1))


def test_a_second_run_embeds_and_adds_nothing(folder, gallery, embedder, monkeypatch):
    index_images(folder, gallery, embedder)
    before = rows(gallery)
    monkeypatch.setattr(embedder, "prepare", None)
    monkeypatch.setattr(
        embedder, "run", lambda pixels, cameras: pytest.fail("embedded") if pixels else np.empty((0, 48))
    )
    report = index_images(folder, gallery, embedder)
    assert (report.added, report.duplicates, report.bad) == (0, 50, [])
    assert rows(gallery) == before


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_bad_images_are_reported_and_the_others_indexed(batch_size, folder, spoilt, gallery, embedder):
    report = index_images(folder, gallery, embedder, batch_size=batch_size)
    assert (report.added, report.duplicates) == (50, 0)
    for bad, (path, reason) in zip(report.bad, spoilt, strict=True):
        assert bad.path == path
        assert reason in bad.reason
    assert len(gallery) == 50


def test_copies_are_one_item_and_embedded_once(folder, gallery, embedder, monkeypatch):
    shutil.copytree(folder / "cam1", folder / "copy of cam1")
    shutil.copytree(folder / "cam1", folder / "cam1 again")
    embedded: list[int] = []
    run = embedder.run
    monkeypatch.setattr(embedder, "run", lambda pixels, cameras: embedded.append(len(pixels)) or run(pixels, cameras))
    report = index_images(folder, gallery, embedder, batch_size=8)
    assert (report.added, report.duplicates, len(gallery)) == (50, 50, 50)
    assert sum(embedded) == 50


def test_a_dry_run_checks_and_adds_nothing(folder, spoilt, gallery, embedder, monkeypatch):
    shutil.copytree(folder / "cam1", folder / "copy of cam1")
    monkeypatch.setattr(embedder, "run", None)
    report = index_images(folder, gallery, embedder, dry_run=True, batch_size=8)
    assert (report.added, report.duplicates, len(report.bad)) == (50, 25, 7)  # the empty file was copied, too
    assert len(gallery) == 0


def test_a_table_gives_labels(folder, gallery, embedder, tmp_path):
    table = tmp_path / "table.csv"
    name = "cam1/0001_c1s1_000000_00.jpg"
    table.write_text(f"path,person_id,camera_id,captured_at,track_id,door\n{name},77,lobby,2026-11-20T08:00:00Z,t,n\n")
    index_images(folder, gallery, embedder, table=table)
    first = gallery.items(limit=1)[0]
    assert (first.source, first.person_id, first.camera_id, first.track_id) == (name, "77", "lobby", "t")
    assert (str(first.captured_at), first.metadata) == ("2026-11-20 08:00:00+00:00", {"door": "n"})
    assert gallery.get(2).person_id == "0001"


def test_a_wrong_table_stops_before_anything_is_added(folder, gallery, embedder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("path\nnone.jpg\n")
    with pytest.raises(TableError, match="line 2"):
        index_images(folder, gallery, embedder, table=table)
    assert len(gallery) == 0


def test_images_can_be_left_out(folder, gallery, embedder):
    gallery.change_settings(store_images=False)
    index_images(folder, gallery, embedder)
    assert gallery.image(1) is None
    assert gallery.info().images == 0


def test_ctrl_c_keeps_whole_batches_and_the_next_run_goes_on(folder, gallery, embedder):
    def interrupt(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt) as interrupted:
        index_images(folder, gallery, embedder, batch_size=10, progress=interrupt)
    assert isinstance(interrupted.value, IndexingInterrupted)
    kept = interrupted.value.report.added
    assert kept == len(gallery)
    assert kept in (20, 30)  # the batch that was being committed was finished
    assert threading.active_count() == threads
    assert len(gallery.search(embedder.embed([Image.new("RGB", (32, 64))], [None]), 100)[0]) == kept
    report = index_images(folder, gallery, embedder, batch_size=10)
    assert (report.added, report.duplicates, len(gallery)) == (50 - kept, kept, 50)


def test_ctrl_c_within_a_batch_leaves_nothing_of_it(folder, gallery, embedder, monkeypatch):
    run = embedder.run
    calls: list[int] = []

    def interrupt(pixels, cameras):
        calls.append(len(pixels))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(pixels, cameras)

    monkeypatch.setattr(embedder, "run", interrupt)
    with pytest.raises(IndexingInterrupted, match="interrupted after 10 new items"):
        index_images(folder, gallery, embedder, batch_size=10)
    assert len(gallery) == 10


def test_an_error_of_the_gallery_is_raised_and_earlier_batches_stay(folder, gallery, embedder, monkeypatch):
    add = gallery.add
    calls: list[int] = []

    def fail_later(items, **options):
        calls.append(len(items))
        if len(calls) == 3:
            raise GalleryFull("no space")
        return add(items, **options)

    monkeypatch.setattr(gallery, "add", fail_later)
    with pytest.raises(GalleryFull):
        index_images(folder, gallery, embedder, batch_size=10)
    assert len(gallery) in {20, 30}  # the batch after it may have begun already


def test_folders_without_images_are_reported(tmp_path, gallery, embedder):
    with pytest.raises(FolderNotFound, match="does not exist"):
        index_images(tmp_path / "none", gallery, embedder)
    (tmp_path / "file.jpg").write_bytes(b"")
    with pytest.raises(FolderNotFound, match="is a file"):
        find_images(tmp_path / "file.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with pytest.raises(NoImages, match=r"holds no images \(1 \.txt\)"):
        index_images(tmp_path / "empty", gallery, embedder)


def unlisted(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let folders of these names be unreadable, also to an administrator."""
    scandir = os.scandir

    def refuse(path: Path | int) -> object:
        if not isinstance(path, int) and Path(path).name in names:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)


def test_a_folder_that_cannot_be_listed_ends_nothing(folder, gallery, embedder, monkeypatch):
    unlisted(monkeypatch, "cam1")
    there = sum(not path.relative_to(folder).as_posix().startswith("cam1/") for path in folder.rglob("0*.jpg"))
    report = index_images(folder, gallery, embedder)
    assert [(bad.path, bad.reason) for bad in report.bad] == [("cam1", "cannot be read (Permission denied)")]
    assert report.added == there > 0
    embedded = embed_images(folder, embedder)
    assert [bad.path for bad in embedded.bad] == ["cam1"]
    assert len(embedded.paths) == there


def test_the_folder_itself_must_be_listed(folder, monkeypatch):
    unlisted(monkeypatch, folder.name)
    with pytest.raises(IndexingError, match=r"cannot be read \(Permission denied\); check its permissions"):
        find_images(folder)


def test_files_that_vanish_are_listed(folder, gallery, embedder, monkeypatch):

    def late(path: Path) -> object:
        found = scan_folder(path)
        found.files[0].path.unlink()
        return found

    monkeypatch.setattr("vitreid.service.intake.folders.scan_folder", late)
    report = index_images(folder, gallery, embedder)
    assert (report.added, [bad.reason for bad in report.bad]) == (49, ["cannot be read (No such file or directory)"])


def test_what_is_ignored_is_listed_with_its_reason(folder, gallery, embedder):
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "0001_c1s1_000001_00.jpg").write_bytes(b"")
    for name in ("a.heic", "b.BMP", "notes.txt", "README", ".hidden.jpg", os.fsdecode(b"\xff.txt")):
        (folder / name).write_bytes(b"")
    (folder / "linked").symlink_to(folder / "cam1", target_is_directory=True)
    os.mkfifo(folder / "pipe.jpg")
    report = index_images(folder, gallery, embedder)
    assert {each.path: each.reason for each in report.ignored} == {
        "a.heic": "is a .heic file; convert it to JPEG, PNG or WebP",
        "b.BMP": "is a .bmp file; convert it to JPEG, PNG or WebP",
        "notes.txt": "is a .txt file",
        "\ufffd.txt": "is a .txt file",
        "README": "has no suffix",
        ".hidden.jpg": "is hidden",
        ".thumbnails": "is hidden",
        "linked": "is a link to a folder, which is not followed",
        "pipe.jpg": "is not a file",
    }
    assert folders.counted(report.ignored).startswith("2 .txt, 2 hidden, 1 .bmp, 1 .heic, 1 has no suffix")
    assert report.bad == []


def test_odd_files_do_no_harm(folder, gallery, embedder, monkeypatch):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop").symlink_to(folder)
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    monkeypatch.setattr(folders, "MAX_BYTES", 5000)
    (folder / "huge.png").write_bytes(b"x" * 5001)
    report = index_images(folder, gallery, embedder)
    assert report.added == 50
    assert [(bad.path, bad.reason.split(",")[0]) for bad in report.bad] == [
        ("huge.png", "has 5"),
        ("\ufffd.jpg", "has a name that is not UTF-8; rename it"),
    ]


def test_a_folder_is_embedded_in_order(folder, spoilt, embedder):
    steps: list[tuple[int, int]] = []
    embedded = embed_images(folder, embedder, batch_size=16, progress=lambda *step: steps.append(step))
    assert embedded.paths == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("0*.jpg"))
    images = [read_image(folder / name) for name in embedded.paths]
    expected = embedder.embed(images, [name[5:7] for name in embedded.paths])
    np.testing.assert_allclose(embedded.embeddings, expected, atol=1e-6)
    assert [bad.path for bad in embedded.bad] == [path for path, _ in spoilt]
    assert steps[-1] == (56, 56)


def relabelling_table(folder: Path) -> Path:
    """A table with other persons, and tracks, for two images of camera 1."""
    table = folder.parent / "labels.csv"
    table.write_text(
        "path,person_id,camera_id,track_id,site\n"
        "cam1/0001_c1s1_000000_00.jpg,anna,,t1,north\ncam1/0002_c1s1_000001_00.jpg,0002,c1,,\n"
    )
    return table


def test_labels_of_images_that_are_there_are_reported_and_taken_on_request(folder, gallery, embedder):
    index_images(folder, gallery, embedder)
    table = relabelling_table(folder)
    before = gallery.get(1)
    for dry_run in (False, True):
        report = index_images(folder, gallery, embedder, table=table, relabel=dry_run, dry_run=dry_run)
        assert (report.added, report.duplicates, report.relabelled) == (0, 50, 0)
        [differing] = report.differing
        assert (differing.path, differing.item_id) == ("cam1/0001_c1s1_000000_00.jpg", 1)
        assert differing.differing == ("person_id", "track_id", "metadata")
        assert gallery.get(1) == before
    report = index_images(folder, gallery, embedder, table=table, relabel=True)
    assert (report.added, report.duplicates, report.relabelled) == (0, 50, 1)
    item = gallery.get(1)
    assert (item.person_id, item.camera_id, item.track_id, item.metadata) == ("anna", "c1", "t1", {"site": "north"})
    assert gallery.get(2).seq == 2  # what says the same is not written again
    assert index_images(folder, gallery, embedder, table=table).differing == []


def test_copies_with_other_labels_are_reported(folder, gallery, embedder):
    shutil.copy(folder / "cam1" / "0001_c1s1_000000_00.jpg", folder / "cam2" / "0009_c2s1_000000_00.jpg")
    report = index_images(folder, gallery, embedder, batch_size=64)
    assert (report.added, report.duplicates) == (50, 1)
    assert [(each.path, each.differing) for each in report.differing] == [
        ("cam2/0009_c2s1_000000_00.jpg", ("person_id", "camera_id"))
    ]


def test_names_are_read_by_a_pattern(folder, gallery, embedder):
    for place, path in enumerate(sorted((folder / "cam1").iterdir())):
        path.rename(folder / "cam1" / f"gate_2026-05-01_09-30-{place:02d}_{path.name}")
    shutil.rmtree(folder / "cam2")
    pattern = NamePattern.parse("{camera}_{time:%Y-%m-%d_%H-%M-%S}_{person}_*", "+02:00")
    report = index_images(folder, gallery, embedder, pattern=pattern, dry_run=True)
    assert report.labels is not None
    assert (report.labels.images, report.labels.persons, report.labels.cameras) == (25, 5, 1)
    assert report.labels.last == datetime(2026, 5, 1, 7, 30, 24, tzinfo=UTC)
    index_images(folder, gallery, embedder, pattern=pattern, table=None)
    item = gallery.get(1)
    assert (item.person_id, item.camera_id) == ("0001", "gate")
    assert item.captured_at == datetime(2026, 5, 1, 7, 30, tzinfo=UTC)
    Image.new("RGB", (32, 64)).save(folder / "holiday.png")
    with pytest.raises(NamePatternError, match="1 of 26 names do not follow"):
        index_images(folder, gallery, embedder, pattern=pattern)


def test_frames_get_camera_and_time_from_a_pattern(folder, gallery, embedder, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("path,left,top,right,bottom,camera_id\na/07.png,0,0,30,60,\na/07.png,1,0,30,60,hall\n")
    (folder / "a").mkdir()
    Image.new("RGB", (32, 64), "red").save(folder / "a" / "07.png")
    pattern = NamePattern.parse("{camera}/*")
    index_images(folder, gallery, embedder, boxes=BoxSource(boxes), pattern=pattern)
    assert [item.camera_id for item in gallery.items()] == ["a", "hall"]
    with pytest.raises(NamePatternError, match="persons and tracks of frames come from their boxes"):
        index_images(folder, gallery, embedder, boxes=BoxSource(boxes), pattern=NamePattern.parse("{person}/*"))
