"""Folders bounding_box_train/, query/ and bounding_box_test/ of images whose names say person and camera."""

from __future__ import annotations

from pathlib import Path

from vitreid.bundle import parse_market_name
from vitreid.training.datasets.split import Sample, Split, image_files
from vitreid.training.errors import DataError, WrongLayout

GALLERY = "bounding_box_test"
FOLDERS = ("bounding_box_train", "query", GALLERY)


def read_named(folder: Path, whose: str) -> Split:
    """Read the three folders; `whose` is the data set that an error names.

    Raises DataError where one of them is missing or empty, and for other names.
    """
    parts = []
    for name in FOLDERS:
        if not (folder / name).is_dir():
            raise WrongLayout(f"{folder} has no folder {name}; {whose} has {', '.join(FOLDERS)}")
        parts.append(named_samples(folder / name))
        if not parts[-1]:
            raise DataError(f"{folder / name} holds no images; unpack {whose} again")
    return Split(*parts)


def named_samples(folder: Path) -> tuple[Sample, ...]:
    """The images of one of the folders. Raises DataError for a name of another scheme.

    Names mean the same in each: -1 is a junk box and left out, 0000 is nobody, who is a wrong answer in the gallery and
    neither trains nor is asked for.
    """
    found = []
    for path in image_files(folder):
        name = parse_market_name(path.name)
        if name is None:
            raise DataError(f"{path} does not say person and camera; names look like 0002_c1s1_000451_03.jpg")
        if name.person_id is not None or (name.distractor and folder.name == GALLERY):
            found.append(Sample(path, name.label, name.camera_id))
    return tuple(found)
