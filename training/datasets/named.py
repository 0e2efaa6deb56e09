"""Folders bounding_box_train/, query/ and bounding_box_test/ of pictures whose names say person and camera."""

from __future__ import annotations

from pathlib import Path

from bundle import MarketName, parse_market_name
from training.datasets.split import Sample, Split, pictures
from training.errors import DataError

FOLDERS = ("bounding_box_train", "query", "bounding_box_test")


def read_named(folder: Path, whose: str) -> Split:
    """Read the three folders; every name is a person's. `whose` is the data set that an error names.

    Raises DataError where one of them is missing or empty, and for other names.
    """
    parts = []
    for name in FOLDERS:
        if not (folder / name).is_dir():
            raise DataError(f"{folder} has no folder {name}; {whose} has {', '.join(FOLDERS)}")
        parts.append(tuple(sample for sample, _ in named_samples(folder / name)))
        if not parts[-1]:
            raise DataError(f"{folder / name} holds no pictures; unpack {whose} again")
    return Split(*parts)


def named_samples(folder: Path) -> list[tuple[Sample, MarketName]]:
    """The pictures of a folder and what their names say. Raises DataError for a name of another scheme."""
    found = []
    for path in pictures(folder):
        name = parse_market_name(path.name)
        if name is None:
            raise DataError(f"{path} does not say person and camera; names look like 0002_c1s1_000451_03.jpg")
        found.append((Sample(path, name.label, name.camera_id), name))
    return found
