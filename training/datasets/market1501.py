"""Market-1501's layout: three folders of pictures whose names say person and camera.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. Junk boxes (person -1) are left out,
distractors (person 0000) stay in the gallery as wrong answers and never train.
"""

from __future__ import annotations

from pathlib import Path

from bundle import MarketName, parse_market_name
from training.datasets.split import Sample, Split, pictures
from training.errors import DataError

FOLDERS = ("bounding_box_train", "query", "bounding_box_test")


def read_market1501(folder: Path) -> Split:
    """Read a folder with bounding_box_train/, query/ and bounding_box_test/; one that is missing counts as empty."""
    if not any((folder / name).is_dir() for name in FOLDERS):
        raise DataError(f"{folder} has none of the folders {', '.join(FOLDERS)} of Market-1501's layout")
    train, query, gallery = (_samples(folder / name) for name in FOLDERS)
    if not (train or query or gallery):
        raise DataError(f"{folder} holds no pictures named like 0002_c1s1_000451_03.jpg")
    return Split(
        train=tuple(sample for sample, name in train if not name.distractor),
        query=tuple(sample for sample, _ in query),
        gallery=tuple(sample for sample, _ in gallery),
    )


def _samples(folder: Path) -> list[tuple[Sample, MarketName]]:
    found = []
    for path in pictures(folder) if folder.is_dir() else []:
        name = parse_market_name(path.name)
        if name is None:
            raise DataError(f"{path} does not say person and camera; names look like 0002_c1s1_000451_03.jpg")
        if not name.junk:
            found.append((Sample(path, name.label, name.camera_id), name))
    return found
