"""`vitreid index` with frames, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from tests.commands import vitreid
from vitreid.bundle import Bundle
from vitreid.service.errors import TableError
from vitreid.service.gallery import Gallery


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Three frames and what a tracker saw in them."""
    folder = tmp_path / "frames" / "img1"
    folder.mkdir(parents=True)
    for number in range(1, 4):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.png")
    lines = ["1,1,1,1,20,50,0.9,-1,-1,-1", "1,2,41,1,20,30,0.2,-1,-1,-1", "3,1,500,1,20,50,0.8,-1,-1,-1"]
    (tmp_path / "tracks.txt").write_text("\n".join(lines))
    return tmp_path / "frames"


@pytest.fixture
def index(frames: Path, tmp_path: Path, tiny_bundle: Path):
    def index_(*options: Any) -> Result:
        return vitreid("index", frames, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle, *options)

    return index_


def test_a_tracker_file_gives_items_with_track_camera_and_time(index, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["--boxes", tmp_path / "tracks.txt", "--camera", "gate", "--track-prefix", "m-"]
    times = ["--fps", "2", "--start", "2026-05-01T14:00:00+02:00"]
    result = index(*options, *times, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["added"], report["rejected"]) == (1, 2, [])
    [bad] = report["bad"]
    assert bad["path"] == "img1/000003.png, line 3"
    assert "outside of the frame" in bad["reason"]
    manifest = Bundle.open(tiny_bundle).manifest
    with Gallery.open(tmp_path / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as gallery:
        first, second = gallery.items()
    assert (first.camera_id, first.track_id, first.box, first.metadata) == (
        "gate",
        "m-1",
        (0, 0, 20, 50),
        {"confidence": 0.9},
    )
    assert (str(first.captured_at), second.track_id) == ("2026-05-01 12:00:00+00:00", "m-2")


def test_what_is_rejected_is_no_failure(index, tmp_path: Path, tiny_bundle: Path) -> None:
    manifest = Bundle.open(tiny_bundle).manifest
    with Gallery.open(tmp_path / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as gallery:
        gallery.change_settings(reject={"height": (40, None)})
    result = index("--boxes", tmp_path / "tracks.txt", "--skip-bad")
    assert result.exit_code == 0
    assert "added 1 to" in result.stdout
    assert "1 unusable, 1 rejected (min_height 1)" in result.stdout
    found = json.loads(index("--boxes", tmp_path / "tracks.txt", "--min-confidence", "0.5", "--json").stdout)
    assert (found["duplicates"], found["rejected"]) == (1, [])


def test_a_dry_run_counts_boxes(index, tmp_path: Path) -> None:
    result = index("--boxes", tmp_path / "tracks.txt", "--dry-run", "--skip-bad")
    assert "would add 2 to" in result.stdout
    assert not (tmp_path / "gallery").exists()


def test_plain_crops_can_have_a_camera(index, tmp_path: Path, tiny_bundle: Path) -> None:
    assert index("--camera", "gate").exit_code == 0
    manifest = Bundle.open(tiny_bundle).manifest
    with Gallery.open(tmp_path / "gallery", bundle_id=manifest.bundle_id, dimension=manifest.dimension) as gallery:
        assert gallery.info().cameras == {"gate": 3}


@pytest.mark.parametrize(
    "options",
    [["--fps", "25"], ["--min-confidence", "0.5"], ["--track-prefix", "a"], ["--boxes", "b.csv", "--table", "t.csv"],
     ["--boxes", "b.txt", "--start", "2026-05-01T14:00:00"], ["--boxes", "b.txt", "--start", "noon"]],
)  # fmt: skip
def test_options_that_do_not_fit_are_reported(index, options: list[str], tmp_path: Path) -> None:
    result = index(*options)
    assert result.exit_code == 2
    assert not (tmp_path / "gallery").exists()


def test_a_wrong_box_file_is_one_line(index, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("path,left,top,right,bottom\nnone.png,1,2,3,4\n")
    result = index("--boxes", tmp_path / "boxes.csv")
    assert isinstance(result.exception, TableError)
    assert "boxes.csv, line 2: no image 'none.png'" in str(result.exception)
