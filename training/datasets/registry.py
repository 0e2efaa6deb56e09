"""Readers by name: a folder or file on disk becomes a Split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.datasets.cuhk03 import read_cuhk03
from vitreid.training.datasets.dukemtmc import read_dukemtmc
from vitreid.training.datasets.folders import read_folders
from vitreid.training.datasets.left_out import left_out
from vitreid.training.datasets.market1501 import read_market1501
from vitreid.training.datasets.msmt17 import read_msmt17
from vitreid.training.datasets.named import FOLDERS
from vitreid.training.datasets.occluded import read_occluded
from vitreid.training.datasets.split import Split
from vitreid.training.datasets.table import read_table
from vitreid.training.datasets.vehicleid import SIZES, read_vehicleid
from vitreid.training.datasets.veri776 import read_veri776
from vitreid.training.errors import DataError, WrongLayout

DATASETS: dict[str, Callable[[Path], Split]] = {
    "market1501": read_market1501,
    "msmt17": read_msmt17,
    "cuhk03": read_cuhk03,
    "dukemtmc": read_dukemtmc,
    "occluded": read_occluded,
    "veri776": read_veri776,
    "vehicleid": read_vehicleid,
    **{f"vehicleid-{size}": partial(read_vehicleid, size=size) for size in SIZES[1:]},
    "folders": read_folders,
    "table": read_table,
}
LAYOUTS = ("market1501", "msmt17", "veri776", "vehicleid", "table", "folders")
"""Those that are told apart by what lies in a folder."""


def read_dataset(name: str, path: Path, pattern: NamePattern | None = None) -> Split:
    """Read a data set by its name in DATASETS; a name pattern is for `folders`.

    Raises DataError for an unknown name and for a path that does not hold such a data set, NamePatternError.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; take one of {', '.join(DATASETS)}")
    if not path.exists():
        raise DataError(f"{path} is not a folder; give the data set's own one, or the CSV of a table")
    if pattern is not None and name != "folders":
        raise DataError(f"a name pattern is for the data set folders, not for {name}; give folders={path}")
    try:
        split = DATASETS[name](path) if pattern is None else read_folders(path, pattern)
    except WrongLayout as error:
        fitting = next((each for each in LAYOUTS if each != name and _fits(each, path)), None)
        raise WrongLayout(f"{error}; read it as {fitting}: {fitting}={path}" if fitting else str(error)) from error
    return replace(split, left_out=left_out(path, split.samples))


def _fits(name: str, path: Path) -> bool:
    try:
        samples = DATASETS[name](path).samples
    except DataError:
        return False
    inside = name == "folders" and any(FOLDERS[0] in sample.path.parts for sample in samples)  # of one data set of many
    return not inside and len({sample.person for sample in samples}) > 1
