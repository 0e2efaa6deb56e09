"""Readers by name: a folder or file on disk becomes a Split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from training.datasets.cuhk03 import read_cuhk03
from training.datasets.dukemtmc import read_dukemtmc
from training.datasets.folders import read_folders
from training.datasets.market1501 import read_market1501
from training.datasets.msmt17 import read_msmt17
from training.datasets.occluded import read_occluded
from training.datasets.split import Split
from training.datasets.table import read_table
from training.datasets.vehicleid import SIZES, read_vehicleid
from training.datasets.veri776 import read_veri776
from training.errors import DataError

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


def read_dataset(name: str, path: Path) -> Split:
    """Read a data set by its name in DATASETS.

    Raises DataError for an unknown name and for a path that does not hold such a data set.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; take one of {', '.join(DATASETS)}")
    if not path.exists():
        raise DataError(f"{path} is not a folder; give the data set's own one, or the CSV of a table")
    return DATASETS[name](path)
