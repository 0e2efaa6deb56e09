"""Frames of a folder into a gallery: the same items as their crops, each refusal reported, nothing done twice."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitreid.bundle import Bundle, decoded
from vitreid.service.errors import TableError
from vitreid.service.gallery import Gallery
from vitreid.service.intake import preparing as intake
from vitreid.service.intake.boxes import BoxSource
from vitreid.service.intake.folders import crops_of, frames_of, scan_folder
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice

from .helpers import index_images

BOXES = [(5, 5, 25, 55), (30, 0, 60, 60), (60.4, 10.6, 90.2, 59.5), (-10, 0, 20, 40)]


@pytest.fixture
def embedder(tiny_bundle: Path) -> Embedder:
    return Embedder(Bundle.open(tiny_bundle), RuntimeChoice("fake"))


@pytest.fixture
def gallery(tmp_path: Path, embedder: Embedder) -> Iterator[Gallery]:
    manifest = embedder.manifest
    with Gallery.open(tmp_path / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as opened:
        yield opened


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Six frames of 60 x 100 pixels."""
    folder = tmp_path / "frames"
    (folder / "img1").mkdir(parents=True)
    for number in range(1, 7):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "img1" / f"{number:06d}.png")
    return folder


def table_of(folder: Path, rows: list[dict[str, Any]]) -> BoxSource:
    """A CSV of boxes beside the frames."""
    text = io.StringIO()
    columns = ("path", "left", "top", "right", "bottom", "person_id", "camera_id", "track_id")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    (folder.parent / "boxes.csv").write_text(text.getvalue())
    return BoxSource(folder.parent / "boxes.csv", camera_id="lobby")


def row(frame: int, box: tuple[float, ...], **labels: Any) -> dict[str, Any]:
    edges = dict(zip(("left", "top", "right", "bottom"), box, strict=True))
    return {"path": f"img1/{frame:06d}.png", **edges, **labels}


def test_boxes_become_the_items_that_their_crops_would(
    frames: Path, tmp_path: Path, gallery: Gallery, embedder: Embedder
) -> None:
    gallery.change_settings(cameras={"c2": "c2"})
    rows = [row(frame, box, camera_id="c2", person_id=frame) for frame in range(1, 7) for box in BOXES]
    report = index_images(frames, gallery, embedder, boxes=table_of(frames, rows), batch_size=7)
    assert (report.added, report.duplicates, report.bad, report.rejected) == (24, 0, [], [])

    crops = tmp_path / "crops"
    crops.mkdir()
    for place, each in enumerate(rows):
        left, top, right, bottom = BOXES[place % len(BOXES)]
        part = (max(left, 0), max(top, 0), min(right, 100), min(bottom, 60))
        Image.open(frames / str(each["path"])).crop(part).save(crops / f"{place:02d}.png")
    manifest = embedder.manifest
    with Gallery.open(tmp_path / "of crops", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as other:
        other.change_settings(cameras={"c2": "c2"})
        index_images(crops, other, embedder, camera_id="c2")
        np.testing.assert_array_equal(gallery.embeddings(range(1, 25)), other.embeddings(range(1, 25)))
        for item, crop in zip(gallery.items(), other.items(), strict=True):
            assert (item.camera_id, item.model_camera) == (crop.camera_id, crop.model_camera) == ("c2", "c2")
            assert gallery.image(item.id) == other.image(crop.id)
            assert item.quality is not None
            assert crop.quality is not None
            assert (item.quality.sharpness, item.quality.height) == (crop.quality.sharpness, crop.quality.height)
    first, *_, last = gallery.items()
    assert (first.source, first.box, first.person_id) == ("img1/000001.png", BOXES[0], "1")
    assert last.quality is not None
    assert last.quality.outside == pytest.approx(1 / 3)


def test_a_second_run_decodes_nothing_and_goes_on(
    frames: Path, gallery: Gallery, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [row(frame, box) for frame in (1, 2) for box in BOXES]
    index_images(frames, gallery, embedder, boxes=table_of(frames, some))
    more = table_of(frames, [*some, row(2, (0, 0, 50, 50)), row(3, BOXES[0]), row(3, BOXES[0])])
    names: list[str | None] = []

    def counting(content: bytes, limits: object, *, name: str | None) -> AbstractContextManager[Image.Image]:
        names.append(name)
        return decoded(content, name=name)

    monkeypatch.setattr(intake, "decoded", counting)
    report = index_images(frames, gallery, embedder, boxes=more)
    assert (report.added, report.duplicates, len(gallery)) == (2, 9, 10)
    assert names == ["img1/000002.png", "img1/000003.png"]
    assert index_images(frames, gallery, embedder, boxes=more).duplicates == 11
    assert len(names) == 2


def test_each_refusal_is_reported_with_its_line(frames: Path, gallery: Gallery, embedder: Embedder) -> None:
    (frames / "img1" / "000005.png").write_bytes(b"no image")
    (frames / "img1" / "000006.png").unlink()
    (frames / "img1" / "000006.png").symlink_to("nowhere")
    boxes = table_of(
        frames,
        [row(1, BOXES[0]), row(1, (float("nan"), 0, 1, 1)), row(1, (200, 0, 220, 40)), row(2, BOXES[0])]
        + [row(frame, box) for frame in (5, 6) for box in BOXES],
    )
    steps: list[tuple[int, int]] = []
    report = index_images(frames, gallery, embedder, boxes=boxes, progress=lambda *step: steps.append(step))
    assert (report.added, len(gallery)) == (2, 2)
    assert steps[-1] == (12, 12)
    assert [(each.path, each.items) for each in report.bad] == [
        ("img1/000001.png, line 3", 1),
        ("img1/000001.png, line 4", 1),
        ("img1/000005.png", 4),
        ("img1/000006.png", 4),
    ]
    assert "lies outside of the frame" in report.bad[1].reason
    assert "is not an image" in report.bad[2].reason


@pytest.mark.parametrize("batch_size", [1, 32])
def test_the_gallery_rejects_and_counts_by_camera(
    batch_size: int, frames: Path, gallery: Gallery, embedder: Embedder
) -> None:
    gallery.change_settings(reject={"height": (45, None), "outside": (None, 0.2)})
    rows = [row(frame, box, camera_id="gate" if frame < 3 else "") for frame in range(1, 5) for box in BOXES]
    report = index_images(frames, gallery, embedder, boxes=table_of(frames, rows), batch_size=batch_size)
    assert (report.added, len(report.rejected), len(gallery)) == (12, 4, 12)
    assert gallery.rejections() == {"gate": {"min_height": 2}, "lobby": {"min_height": 2}}
    first = report.rejected[0]
    assert (first.path, first.reason) == ("img1/000001.png, line 5", "height is 40; expected at least 45")
    assert (first.violation.rule, first.provenance.label.camera_id) == ("min_height", "gate")
    gallery.change_settings(reject={})
    assert index_images(frames, gallery, embedder, boxes=table_of(frames, rows)).added == 4


def test_a_dry_run_counts_boxes_and_rejections_and_keeps_nothing(
    frames: Path, gallery: Gallery, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.change_settings(reject={"height": (45, None)})
    monkeypatch.setattr(embedder, "run", None)
    rows = [row(1, box) for box in (*BOXES, BOXES[0], (0, 0, 0, 0))]
    report = index_images(frames, gallery, embedder, boxes=table_of(frames, rows), dry_run=True)
    assert (report.added, report.duplicates, len(report.rejected), len(report.bad)) == (3, 1, 1, 1)
    assert (len(gallery), gallery.rejections()) == (0, {})


def test_all_rejected_is_counted_too(frames: Path, gallery: Gallery, embedder: Embedder) -> None:
    gallery.change_settings(reject={"brightness": (None, 0.0)})
    report = index_images(frames, gallery, embedder, camera_id="yard")
    assert (report.added, len(report.rejected)) == (0, 6)
    assert gallery.rejections() == {"yard": {"max_brightness": 6}}


def test_a_camera_that_is_not_mapped_is_unknown_to_the_model(
    frames: Path, gallery: Gallery, embedder: Embedder
) -> None:
    gallery.change_settings(cameras={"yard": "c1", "gate": "no such camera"})
    rows = [row(1, BOXES[0], camera_id=camera) for camera in ("c1",)]
    rows += [row(2, BOXES[0], camera_id="yard"), row(3, BOXES[0], camera_id="gate"), row(4, BOXES[0])]
    index_images(frames, gallery, embedder, boxes=table_of(frames, rows))
    assert {item.camera_id: item.model_camera for item in gallery.items()} == {
        "c1": None,
        "yard": "c1",
        "gate": None,
        "lobby": None,
    }


def test_frames_without_boxes_are_left_out(frames: Path) -> None:
    boxes = table_of(frames, [row(4, BOXES[0]), row(2, BOXES[1]), row(4, BOXES[2])])
    sources = frames_of(scan_folder(frames), boxes)
    assert [(source.name, source.items) for source in sources] == [("img1/000002.png", 1), ("img1/000004.png", 2)]


def test_wrong_boxes_stop_before_anything_is_added(frames: Path, gallery: Gallery, embedder: Embedder) -> None:
    with pytest.raises(TableError, match="line 3"):
        index_images(frames, gallery, embedder, boxes=table_of(frames, [row(1, BOXES[0]), row(99, BOXES[0])]))
    assert len(gallery) == 0


def test_a_given_camera_counts_more_than_a_name_and_less_than_a_table(frames: Path, tmp_path: Path) -> None:
    (frames / "0002_c3s1_000001_00.png").write_bytes(b"")
    (tmp_path / "table.csv").write_text("path,camera_id\nimg1/000002.png,gate\nimg1/000003.png,\n")
    found = scan_folder(frames)
    assert [source.label.camera_id for source in crops_of(found)] == ["c3", *[None] * 6]
    assert {source.label.camera_id for source in crops_of(found, camera_id="yard")} == {"yard"}
    labelled = [source.label.camera_id for source in crops_of(found, tmp_path / "table.csv", "yard")]
    assert labelled == ["yard", "yard", "gate", *["yard"] * 4]
