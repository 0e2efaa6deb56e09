"""VeRi-776: vehicles before 20 cameras.

Liu et al., "Large-scale Vehicle Re-Identification in Urban Surveillance Videos", ICME 2016. The lists name_*.txt say
which images count, *_label.xml which vehicle and camera they show, else their names do. The view (0 front to 7 right
rear) is known where Wang et al.'s files of key points are there ("Orientation Invariant Feature Embedding", ICCV 2017).
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from vitreid.training.datasets.lists import need_folder, read_list
from vitreid.training.datasets.split import Sample, Split, image_files
from vitreid.training.errors import DataError

WHOSE = "VeRi-776"
_NAME = re.compile(r"(\d+)_c(\d+)_")
_KEY_POINTS = 40  # x and y of twenty points, before the view


def read_veri776(folder: Path) -> Split:
    """Read VeRi/ with image_train/, image_query/ and image_test/."""
    views = _views(folder)
    train = _samples(folder, "train", _labels(folder / "train_label.xml"), views)
    labels = _labels(folder / "test_label.xml")
    return Split(train, _samples(folder, "query", labels, views), _samples(folder, "test", labels, views))


def _samples(folder: Path, part: str, labels: dict[str, tuple[str, str]], views: dict[str, str]) -> tuple[Sample, ...]:
    images, listed = need_folder(folder, WHOSE, f"image_{part}"), folder / f"name_{part}.txt"
    names = [name for (name,) in read_list(listed, 0, WHOSE)] if listed.is_file() else _names(images)
    return tuple(Sample(images / name, *(labels.get(name) or _named(images / name)), views.get(name)) for name in names)


def _names(folder: Path) -> list[str]:
    names = [path.name for path in image_files(folder)]
    if not names:
        raise DataError(f"{folder} holds no images; unpack {WHOSE} again")
    return names


def _named(path: Path) -> tuple[str, str]:
    match = _NAME.match(path.name)
    if match is None:
        raise DataError(f"{path} does not say vehicle and camera; names look like 0002_c002_00030600_0.jpg")
    return match[1], f"c{int(match[2])}"


def _labels(file: Path) -> dict[str, tuple[str, str]]:
    """Vehicle and camera by image. The files say gb2312, which the parser does not know, and are ASCII."""
    if not file.is_file():
        return {}
    text = re.sub(r"^<\?xml[^>]*\?>", "", file.read_text("ascii", errors="replace").lstrip())
    try:
        items = [item.attrib for item in ElementTree.fromstring(text).iter("Item")]
        return {item["imageName"]: (item["vehicleID"], f"c{int(item['cameraID'].lstrip('c'))}") for item in items}
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise DataError(f"{file} is damaged ({error}); unpack {WHOSE} again") from error


def _views(folder: Path) -> dict[str, str]:
    files = [folder / f"keypoint_{part}.txt" for part in ("train", "test")]
    rows = [row for file in files if file.is_file() for row in read_list(file, _KEY_POINTS + 1, WHOSE)]
    return {row[0].rpartition("/")[2]: row[-1] for row in rows}
