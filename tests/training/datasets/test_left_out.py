"""Images that readers leave out are counted by reason, alike in train and test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vitreid import cli
from vitreid.bundle.image_files import OTHER_FILES
from vitreid.training.datasets import Split, read_dataset
from vitreid.training.datasets.left_out import JUNK, NO_PART, NOBODY, OF_OTHER_FORMATS
from vitreid.training.datasets.warnings import data_warnings, left_out_notes
from vitreid.training.errors import DataError

Touch = Callable[..., None]
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"


def counts(split: Split) -> dict[str, int]:
    return {each.reason: len(each.paths) for each in split.left_out}


def market(folder: Path, touch: Touch) -> Path:
    for part, persons in ((TRAIN, (0, 1, 2)), (QUERY, (0, 3)), (GALLERY, (0, 3, -1))):
        touch(*(folder / part / f"{p if p < 0 else f'{p:04d}'}_c{c}s1_000001_00.png" for p in persons for c in (1, 2)))
    return folder


@pytest.mark.parametrize("dataset", ["market1501", "dukemtmc", "cuhk03", "occluded"])
def test_person_0000_is_nobody_everywhere(dataset: str, tmp_path: Path, touch: Touch) -> None:
    split = read_dataset(dataset, market(tmp_path, touch))
    assert split.train_persons() == ("0001", "0002")
    assert {sample.person for sample in split.query} == {"0003"}
    assert {sample.person for sample in split.gallery} == {"0000", "0003"}
    assert counts(split) == {JUNK: 2, NOBODY: 4}
    assert any("4 images of person 0000" in line for line in data_warnings(split, 4, "none"))


def test_person_0_is_somebody(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path / TRAIN / "0_c1_1.png", tmp_path / TRAIN / "1_c1_1.png")
    assert read_dataset("market1501", tmp_path).train_persons() == ("0", "1")


def test_other_files_and_places(tmp_path: Path, touch: Touch) -> None:
    market(tmp_path, touch)
    touch(tmp_path / TRAIN / "more" / "0001_c1s1_000009_00.jpg", tmp_path / "gt_bbox" / "0001_c1s1_000009_00.jpg")
    touch(tmp_path / TRAIN / "0001_c1s1_000002_00.tif", tmp_path / TRAIN / "0001_c1s1_000003_00.BMP")
    for name in ("readme.txt", ".DS_Store", f"{TRAIN}/._0001_c1s1_000001_00.png", f"{TRAIN}/1.heic"):
        (tmp_path / name).touch()
    split = read_dataset("market1501", tmp_path)
    assert counts(split) == {"hidden files": 2, OTHER_FILES: 1, OF_OTHER_FORMATS: 3, JUNK: 2, NOBODY: 4, NO_PART: 2}
    assert len(left_out_notes(split)) == 3


def test_a_camera_per_folder(tmp_path: Path, touch: Touch) -> None:
    touch(
        tmp_path / "anna" / "gate" / "1.jpg", tmp_path / "anna" / "hall_c3_2.png", tmp_path / "ben" / "gate" / "1.jpg"
    )
    touch(tmp_path / "ben" / "gate" / "monday" / "2.jpg")
    split = read_dataset("folders", tmp_path)
    assert [(s.person, s.camera) for s in split.train] == [("anna", "c3"), ("anna", "gate"), ("ben", "gate")]
    assert counts(split) == {NO_PART: 1}


def test_a_folder_test_is_the_gallery(tmp_path: Path, touch: Touch) -> None:
    touch(*(tmp_path / part / "anna" / "1.jpg" for part in ("train", "query", "test")))
    split = read_dataset("folders", tmp_path)
    assert [len(part) for part in (split.train, split.query, split.gallery)] == [1, 1, 1]
    touch(tmp_path / "val" / "anna" / "1.jpg")
    assert counts(read_dataset("folders", tmp_path)) == {NO_PART: 1}
    touch(tmp_path / "gallery" / "anna" / "1.jpg")
    with pytest.raises(DataError, match="gallery/ and test/, which both mean the gallery"):
        read_dataset("folders", tmp_path)


def test_names_with_and_without_spaces_are_one_person(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path / "A" / "1.jpg", tmp_path / "A " / "2.jpg", tmp_path / "B" / "1.jpg")
    assert read_dataset("folders", tmp_path).train_persons() == ("A", "B")
    (tmp_path / "own.csv").write_text("path, person_id,camera_id\nA/1.jpg,A,c1\nA /2.jpg,A ,c1 \nB/1.jpg, B,c1\n")
    split = read_dataset("table", tmp_path / "own.csv")
    assert (split.train_persons(), split.train_cameras()) == (("A", "B"), ("c1",))


def test_images_without_a_row(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "deep" / "c.jpg")
    (tmp_path / "own.csv").write_text("path,person\na.jpg,A\n")
    assert counts(read_dataset("table", tmp_path / "own.csv")) == {NO_PART: 1}


def test_the_command_counts_what_is_left_out(tmp_path: Path, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
    market(tmp_path, touch)
    shutil.rmtree(tmp_path / QUERY)
    cli.run(["data", "check", str(tmp_path)])
    told = capsys.readouterr().out
    assert "left out         2  junk boxes: person -1" in told
    assert "left out         2  images of person 0000, who is nobody by Market-1501" in told
    cli.run(["data", "check", str(tmp_path), "--json"])
    left_out = json.loads(capsys.readouterr().out)["left_out"]
    assert [(each["reason"], each["count"], len(each["paths"])) for each in left_out] == [(JUNK, 2, 2), (NOBODY, 2, 2)]
