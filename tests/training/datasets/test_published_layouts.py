"""Readers of published data sets on miniatures of their folders, with names as published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitreid.training.datasets import DATASETS, Sample, read_dataset
from vitreid.training.datasets.vehicleid import read_vehicleid
from vitreid.training.errors import DataError

Touch = Callable[..., None]


def seen(samples: tuple[Sample, ...]) -> list[tuple[str, str | None, str | None]]:
    return [(sample.person, sample.camera, sample.view) for sample in samples]


def market_like(folder: Path, names: tuple[str, str, str], touch: Touch) -> Path:
    for part, name in zip(("bounding_box_train", "query", "bounding_box_test"), names, strict=True):
        touch(folder / part / name)
    return folder


@pytest.mark.parametrize("dataset", ["dukemtmc", "occluded"])
def test_duke(dataset: str, tmp_path: Path, touch: Touch) -> None:
    names = ("0001_c2_f0046182.jpg", "0005_c8_f0047234.jpg", "0005_c1_f0051341.jpg")
    split = read_dataset(dataset, market_like(tmp_path, names, touch))
    assert seen(split.train) == [("0001", "c2", None)]
    assert (seen(split.query), seen(split.gallery)) == ([("0005", "c8", None)], [("0005", "c1", None)])


def test_cuhk03(tmp_path: Path, touch: Touch) -> None:
    for boxes in ("detected", "labeled"):
        market_like(tmp_path / boxes, ("0001_c1_1.png", "0003_c1_21.png", "0003_c2_24.png"), touch)
    split = read_dataset("cuhk03", tmp_path / "labeled")
    assert (seen(split.train), seen(split.gallery)) == ([("0001", "c1", None)], [("0003", "c2", None)])
    with pytest.raises(DataError, match=r"detected and labeled boxes; give the folder of one: .*/detected$"):
        read_dataset("cuhk03", tmp_path)


def test_the_original_cuhk03_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cuhk03_release").mkdir()
    (tmp_path / "cuhk03_release" / "cuhk-03.mat").touch()
    with pytest.raises(DataError, match=r"cuhk-03\.mat, the original, which is not read; unpack the new protocol"):
        read_dataset("cuhk03", tmp_path)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17(train: str, test: str, tmp_path: Path, touch: Touch) -> None:
    listed = {
        "list_train.txt": (train, "0000/0000_000_01_0303morning_0008_0.jpg 0"),
        "list_val.txt": (train, "0012/0012_003_15_0303noon_0008_1_ex.jpg 12"),
        "list_query.txt": (test, "0000/0000_000_14_0303morning_0008_0.jpg 0"),
        "list_gallery.txt": (test, "0000/0000_001_05_0303morning_0020_2.jpg 0"),
    }
    for name, (folder, line) in listed.items():
        (tmp_path / name).write_text(line + "\n")
        touch(tmp_path / folder / line.split()[0])
    split = read_dataset("msmt17", tmp_path)
    assert seen(split.train) == [("0000", "c1", None), ("0012", "c15", None)]  # the validation list trains too
    assert seen(split.query) == [("test-0000", "c14", None)]  # both parts count from 0: these are two persons
    assert seen(split.gallery) == [("test-0000", "c5", None)]
    assert all(sample.path.is_file() for sample in (*split.train, *split.query, *split.gallery))
    (tmp_path / "list_val.txt").unlink()
    with pytest.raises(DataError, match=r"no file list_val\.txt, which MSMT17 comes with"):
        read_dataset("msmt17", tmp_path)


def veri(folder: Path, touch: Touch) -> Path:
    touch(folder / "image_train" / "0001_c001_00016450_0.jpg", folder / "image_train" / "0003_c020_00030600_0.jpg")
    touch(folder / "image_query" / "0002_c002_00030600_0.jpg", folder / "image_test" / "0002_c003_00084280_0.jpg")
    return folder


def test_veri776_by_names(tmp_path: Path, touch: Touch) -> None:
    split = read_dataset("veri776", veri(tmp_path, touch))
    assert split.train_cameras() == ("c1", "c20")
    assert seen(split.train) == [("0001", "c1", None), ("0003", "c20", None)]
    assert (seen(split.query), seen(split.gallery)) == ([("0002", "c2", None)], [("0002", "c3", None)])


def test_veri776_by_lists_labels_and_views(tmp_path: Path, touch: Touch) -> None:
    veri(tmp_path, touch)
    (tmp_path / "name_train.txt").write_text("0001_c001_00016450_0.jpg\r\n")
    (tmp_path / "train_label.xml").write_text(
        '<?xml version="1.0" encoding="gb2312"?>\n<TrainingImages Version="1.0"><Items number="1">'
        '<Item imageName="0001_c001_00016450_0.jpg" vehicleID="0776" cameraID="c007" colorID="5" typeID="4" />'
        "</Items></TrainingImages>"
    )
    points = " ".join(["-1"] * 40)
    (tmp_path / "keypoint_train.txt").write_text(f"VeRi/image_train/0001_c001_00016450_0.jpg {points} 3\n")
    (tmp_path / "keypoint_test.txt").write_text(f"VeRi/image_test/0002_c003_00084280_0.jpg {points} 10\n")
    split = read_dataset("veri776", tmp_path)
    assert seen(split.train) == [("0776", "c7", "3")]
    assert (seen(split.query), seen(split.gallery)) == ([("0002", "c2", None)], [("0002", "c3", "10")])
    (tmp_path / "name_train.txt").write_text("car.jpg\n")
    with pytest.raises(DataError, match=r"car\.jpg does not say vehicle and camera"):
        read_dataset("veri776", tmp_path)
    (tmp_path / "train_label.xml").write_text("<TrainingImages><Item imageName='0001.jpg' /></TrainingImages>")
    with pytest.raises(DataError, match=r"train_label\.xml is damaged \('vehicleID'\)"):
        read_dataset("veri776", tmp_path)


def vehicles(folder: Path, *, sizes: tuple[int, ...] = (800,)) -> Path:
    (folder / "image").mkdir()
    (folder / "train_test_split").mkdir()
    (folder / "train_test_split" / "train_list.txt").write_text("0000001 7\n0000002 7\n")
    rows = "".join(f"{image:07d} {image // 10}\n" for image in range(100, 150))
    for size in sizes:
        (folder / "train_test_split" / f"test_list_{size}.txt").write_text(rows)
    return folder


def test_vehicleid_draws_one_image_of_each_vehicle(tmp_path: Path) -> None:
    split = read_dataset("vehicleid", vehicles(tmp_path))
    assert [sample.path.name for sample in split.train] == ["0000001.jpg", "0000002.jpg"]
    assert [sample.person for sample in split.gallery] == ["10", "11", "12", "13", "14"]
    assert len(split.query) == 45
    assert not {sample.path for sample in split.query} & {sample.path for sample in split.gallery}
    assert {sample.camera for sample in split.query} == {None}
    assert split == read_dataset("vehicleid", tmp_path)
    assert split.gallery != read_vehicleid(tmp_path, seed=1).gallery
    with pytest.raises(DataError, match=r"no file test_list_2400\.txt"):
        read_dataset("vehicleid-2400", tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0000/0000_000_01_x_0.jpg", "line 1.*is not an image and 1 values"),
        ("0000/0000.jpg 0", "does not say its camera"),
    ],
)
def test_lists_with_other_lines(line: str, message: str, tmp_path: Path) -> None:
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
    (tmp_path / "list_train.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        read_dataset("msmt17", tmp_path)


EMPTY = {
    "market1501": "none of the folders bounding_box_train, query, bounding_box_test",
    "msmt17": "no folder train or mask_train_v2 or mask_train_V2, which MSMT17 comes with",
    "cuhk03": "no folder bounding_box_train; CUHK03-NP has",
    "dukemtmc": "no folder bounding_box_train; DukeMTMC-reID has",
    "occluded": "no folder bounding_box_train; Occluded-Duke has",
    "veri776": "no folder image_train, which VeRi-776 comes with",
    "vehicleid": "no folder image, which VehicleID comes with",
    "vehicleid-1600": "no folder image, which VehicleID comes with",
    "vehicleid-2400": "no folder image, which VehicleID comes with",
    "folders": "no folder of images per person",
    "table": "is not a file; give the CSV itself",
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_empty_folder_is_reported_in_one_line(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=EMPTY[dataset]) as caught:
        read_dataset(dataset, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dataset", ["dukemtmc", "occluded", "cuhk03"])
def test_a_part_that_is_missing_or_empty(dataset: str, tmp_path: Path, touch: Touch) -> None:
    market_like(tmp_path, ("0001_c2_1.jpg", "0005_c8_1.jpg", "0005_c1_1.jpg"), touch)
    (tmp_path / "query" / "0005_c8_1.jpg").unlink()
    with pytest.raises(DataError, match="query holds no images; unpack"):
        read_dataset(dataset, tmp_path)
    (tmp_path / "query").rmdir()
    with pytest.raises(DataError, match="has no folder query"):
        read_dataset(dataset, tmp_path)
