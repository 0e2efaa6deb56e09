"""A data set without parts, divided by person into train, query and gallery, and written as a data set of its own."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vitreid.bundle.atomic import atomic_folder, atomic_write
from vitreid.bundle.cells import escape_cell
from vitreid.bundle.market_names import DISTRACTOR
from vitreid.training.datasets.named import FOLDERS
from vitreid.training.datasets.split import Sample, Split, query_and_gallery
from vitreid.training.datasets.warnings import check_files
from vitreid.training.errors import DataError

PARTS = ("train", "query", "gallery")
COLUMNS = ("path", "person_id", "camera_id", "view", "split")


def divide(split: Split, name: str, *, test_persons: int | None = None, seed: int = 0) -> Split:
    """Draw persons for the test, whose images become queries and gallery, and leave the others for training.

    The parts that a data set had do not count. Only persons who can be asked for are drawn, half of them where
    `test_persons` is None; images of nobody go to the gallery. One seed draws the same persons of the same data.

    Raises DataError where too few can be asked for, and for files that are missing.
    """
    check_files(split.samples)
    known = [sample for sample in split.samples if sample.person]
    nobody = tuple(sample for sample in split.samples if not sample.person)
    able = sorted({sample.person for sample in query_and_gallery(known)[0]})
    count = len(able) // 2 if test_persons is None else test_persons
    if not 1 <= count <= len(able):
        raise DataError(
            f"{name}: {count} persons for the test, but {len(able)} have images by two cameras (or by unknown ones) "
            "to be asked for and found; give --test-persons a number from 1 to that"
        )
    drawn = set(np.random.default_rng([seed, len(able)]).choice(able, count, replace=False).tolist())
    train = tuple(sample for sample in known if sample.person not in drawn)
    query, gallery = query_and_gallery(sample for sample in known if sample.person in drawn)
    return Split(train, query, gallery + nobody, left_out=split.left_out)


def write_divided(split: Split, out: Path) -> None:
    """Write a table (`*.csv`) of where the images are, or copy them into a folder in Market-1501's layout.

    It appears whole or not at all. Raises DataError where `out` is there, and for what the form cannot say.
    """
    if out.exists():
        raise DataError(f"{out} is there already; choose another --out or remove it")
    try:
        if out.suffix.lower() == ".csv":
            _write_table(split, out)
        else:
            _write_market(split, out)
    except OSError as error:
        raise DataError(f"{out} cannot be written ({error.strerror or error})") from error


def _placed(split: Split) -> Iterator[tuple[str, Sample]]:
    for part in PARTS:
        for sample in getattr(split, part):
            yield part, sample


def _write_table(split: Split, out: Path) -> None:
    rows = []
    for part, sample in _placed(split):
        path = os.path.relpath(sample.path.absolute(), out.parent.absolute())
        if path != path.strip():
            raise DataError(f"{sample.path} has spaces around its name, which a table does not keep; rename it")
        rows.append((path, sample.person, sample.camera or "", sample.view or "", part))
    with atomic_write(out) as binary, io.TextIOWrapper(binary, newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *([escape_cell(text) for text in row] for row in rows)])


def _write_market(split: Split, out: Path) -> None:
    if unknown := [sample for sample in split.samples if sample.camera is None]:
        raise DataError(
            f"{len(unknown)} images tell no camera, which Market-1501's names need, such as {unknown[0].path}; "
            "write a table (--out *.csv), or say the cameras by --name-pattern"
        )
    persons = {name: f"{i:04d}" for i, name in enumerate(sorted({s.person for s in split.samples} - {""}), 1)}
    cameras = _numbered({sample.camera or "" for sample in split.samples})
    names = []
    with atomic_folder(out) as folder:
        for name in FOLDERS:
            (folder / name).mkdir()
        for i, (part, sample) in enumerate(_placed(split)):
            person, camera = persons.get(sample.person, DISTRACTOR), cameras[sample.camera or ""]
            path = f"{FOLDERS[PARTS.index(part)]}/{person}_c{camera}s1_{i:06d}_00{sample.path.suffix.lower()}"
            shutil.copyfile(sample.path, folder / path)
            names.append([escape_cell(text) for text in (path, sample.person, sample.camera or "", str(sample.path))])
        with (folder / "names.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "person_id", "camera_id", "source"), *names])


def _numbered(cameras: set[str]) -> dict[str, int]:
    """Numbers of cameras: their own where all are called c1, c2, ..., else by their order."""
    if all(re.fullmatch(r"c[1-9]\d{0,8}", camera) for camera in cameras):
        return {camera: int(camera[1:]) for camera in cameras}
    return {camera: i for i, camera in enumerate(sorted(cameras), 1)}
