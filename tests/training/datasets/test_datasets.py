"""Readers on miniatures of their folder structures, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vitreid.training.datasets import Sample, Split, hold_out, read_dataset
from vitreid.training.errors import DataError

Touch = Callable[..., None]


@pytest.fixture
def market(tmp_path: Path, touch: Touch) -> Path:
    names = {
        "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c10s1_000001_00.jpg", "0007_c2s1_000001_00.jpg"],
        "query": ["0001_c1s1_001051_00.jpg"],
        "bounding_box_test": [
            "0001_c2s1_000001_00.jpg",
            "0000_c1s1_000151_01.jpg",
            "-1_c1s1_000401_03.jpg",
        ],
    }
    touch(*(tmp_path / folder / name for folder, files in names.items() for name in files))
    (tmp_path / "bounding_box_test" / "Thumbs.db").touch()
    return tmp_path


def test_market1501(market: Path) -> None:
    split = read_dataset("market1501", market)
    assert split.train_persons() == ("0002", "0007")
    assert split.train_cameras() == ("c1", "c2", "c10")
    assert [(s.person, s.camera) for s in split.query] == [("0001", "c1")]
    assert [s.person for s in split.gallery] == ["0000", "0001"]  # distractors stay, junk goes


def test_real_images(real_people: Path) -> None:
    split = read_dataset("market1501", real_people)
    folders = ("bounding_box_train", "query", "bounding_box_test")
    names = [{file.name for file in (real_people / folder).glob("[!-]*.jpg")} for folder in folders]
    assert [{sample.path.name for sample in part} for part in (split.train, split.query, split.gallery)] == names
    assert set(split.train_persons()) == {name.partition("_")[0] for name in names[0]}
    assert set(split.train_cameras()) == {re.findall(r"_(c\d+)", name)[0] for name in names[0]}


def test_folders_for_training(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path / "anna" / "1.jpg", tmp_path / "anna" / "hall_c3_2.png", tmp_path / "ben" / "0002_c1s1_0_0.jpg")
    split = read_dataset("folders", tmp_path)
    assert [(s.person, s.camera) for s in split.train] == [("anna", None), ("anna", "c3"), ("ben", "c1")]
    assert split.query == split.gallery == ()


def test_folders_in_parts(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path / "train" / "a" / "1.jpg", tmp_path / "query" / "b" / "1.jpg", tmp_path / "gallery" / "b" / "2.jpg")
    split = read_dataset("folders", tmp_path)
    assert [[s.person for s in part] for part in (split.train, split.query, split.gallery)] == [["a"], ["b"], ["b"]]


@pytest.mark.parametrize(
    ("dataset", "files", "message"),
    [
        ("market1501", ["photos/1.jpg"], "none of the folders"),
        ("market1501", ["query/holiday.jpg"], r"holiday\.jpg does not say person and camera"),
        ("folders", ["1.jpg"], "no folder of images per person"),
        ("imaginary", ["1.jpg"], "no data set 'imaginary'; take one of market1501, .*folders"),
    ],
)
def test_what_is_refused(tmp_path: Path, dataset: str, files: list[str], message: str, touch: Touch) -> None:
    touch(*(tmp_path / file for file in files))
    with pytest.raises(DataError, match=message):
        read_dataset(dataset, tmp_path)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "query").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        read_dataset("market1501", tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        read_dataset("market1501", tmp_path / "nowhere")


def split_of(persons: int) -> Split:
    samples = [Sample(Path(f"{p}_{c}_{i}"), str(p), f"c{c}") for p in range(persons) for c in (1, 2) for i in range(3)]
    return Split(tuple(samples), (), ())


def test_holding_out_moves_whole_persons() -> None:
    split = hold_out(split_of(10), 4, seed=1)
    held = {s.person for s in split.query}
    assert len(held) == 4
    assert held == {s.person for s in split.gallery}
    assert not held & {s.person for s in split.train}
    assert len(split.train) + len(split.query) + len(split.gallery) == 60
    assert len(split.query) == 8  # one per person and camera
    assert split == hold_out(split_of(10), 4, seed=1)
    assert split != hold_out(split_of(10), 4, seed=2)


def test_somebody_must_be_left_to_train_on() -> None:
    with pytest.raises(DataError, match=r"; lower it, as with --set data\.holdout_persons=\d+$"):
        hold_out(split_of(5), 4, seed=0)
