"""MSMT17: 15 cameras, no junk boxes; four lists say which images are for what.

Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. V1 keeps its images in
train/ and test/, V2, whose faces are blurred, in mask_train_v2/ and mask_test_v2/. The validation list trains too, as
in TransReID and those compared with it.
"""

from __future__ import annotations

from pathlib import Path

from vitreid.training.datasets.lists import need_folder, read_list
from vitreid.training.datasets.split import Sample, Split
from vitreid.training.errors import DataError

WHOSE = "MSMT17"


def read_msmt17(folder: Path) -> Split:
    """Read MSMT17_V1/ or MSMT17_V2/. Both parts count their persons from 0000: those of the test are named apart."""
    train = need_folder(folder, WHOSE, "train", "mask_train_v2", "mask_train_V2")
    test = need_folder(folder, WHOSE, "test", "mask_test_v2", "mask_test_V2")
    return Split(
        train=_samples(train, folder / "list_train.txt") + _samples(train, folder / "list_val.txt"),
        query=_samples(test, folder / "list_query.txt", "test-"),
        gallery=_samples(test, folder / "list_gallery.txt", "test-"),
    )


def _samples(folder: Path, file: Path, prefix: str = "") -> tuple[Sample, ...]:
    samples = []
    for name, person in read_list(file, 1, WHOSE):
        fields = name.rpartition("/")[2].split("_")
        if len(fields) < 4 or not fields[2].isdecimal():
            raise DataError(
                f"{file}: {name} does not say its camera; names look like 0000/0000_000_01_0303morning_0008_0.jpg"
            )
        samples.append(Sample(folder / name, f"{prefix}{person.zfill(4)}", f"c{int(fields[2])}"))
    return tuple(samples)
