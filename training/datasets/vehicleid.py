"""VehicleID: vehicles from the front or the rear, without camera names.

Liu et al., "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles", CVPR 2016. Of each test
vehicle one image, drawn at random, is the gallery and the others are queries. Published scores are means over ten
draws; one seed always gives one draw, so that two models meet the same task.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vitreid.training.datasets.lists import need_folder, read_list
from vitreid.training.datasets.split import Sample, Split

WHOSE = "VehicleID"
SIZES = (800, 1600, 2400)


def read_vehicleid(folder: Path, *, size: int = 800, seed: int = 0) -> Split:
    """Read VehicleID_V1.0/ with image/ and train_test_split/; the test has `size` vehicles, one of SIZES."""
    images, lists = need_folder(folder, WHOSE, "image"), need_folder(folder, WHOSE, "train_test_split")
    by_vehicle: dict[str, list[Sample]] = {}
    for sample in _samples(images, lists / f"test_list_{size}.txt"):
        by_vehicle.setdefault(sample.person, []).append(sample)
    random = np.random.default_rng(seed)
    gallery = tuple(samples.pop(random.integers(len(samples))) for _, samples in sorted(by_vehicle.items()))
    query = tuple(sample for _, samples in sorted(by_vehicle.items()) for sample in samples)
    return Split(tuple(_samples(images, lists / "train_list.txt")), query, gallery)


def _samples(images: Path, file: Path) -> list[Sample]:
    return [
        Sample(images / f"{name.removesuffix('.jpg')}.jpg", vehicle, None)
        for name, vehicle in read_list(file, 1, WHOSE)
    ]
