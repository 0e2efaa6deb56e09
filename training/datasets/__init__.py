"""Readers: a folder on disk becomes a Split. A new one is a file beside these and a line in DATASETS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.datasets.folders import read_folders
from training.datasets.market1501 import read_market1501
from training.datasets.split import Sample, Split, hold_out
from training.errors import DataError

DATASETS: dict[str, Callable[[Path], Split]] = {
    "market1501": read_market1501,
    "folders": read_folders,
}


def read_dataset(name: str, folder: Path) -> Split:
    """Read a data set by its name in DATASETS.

    Raises DataError for an unknown name and for a folder that does not hold such a data set.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; take one of {', '.join(DATASETS)}")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the data set's own folder with --data")
    return DATASETS[name](folder)


__all__ = ["DATASETS", "Sample", "Split", "hold_out", "read_dataset"]
