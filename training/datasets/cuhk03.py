"""CUHK03 by the new protocol (CUHK03-NP): 767 persons train, 700 are sought, in detected or in labelled boxes.

Li et al., "DeepReID", CVPR 2014; Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
2017.
"""

from __future__ import annotations

from pathlib import Path

from vitreid.training.datasets.named import FOLDERS, read_named
from vitreid.training.datasets.split import Split
from vitreid.training.errors import DataError

BOXES = ("detected", "labeled")


def read_cuhk03(folder: Path) -> Split:
    """Read cuhk03-np/detected/ or cuhk03-np/labeled/ with names like 0001_c1_1.png."""
    if not (folder / FOLDERS[0]).is_dir():
        _explain(folder)
    return read_named(folder, "CUHK03-NP")


def _explain(folder: Path) -> None:
    if boxes := [name for name in BOXES if (folder / name).is_dir()]:
        raise DataError(f"{folder} holds {' and '.join(boxes)} boxes; give the folder of one: {folder / boxes[0]}")
    if files := sorted(folder.rglob("*.mat")):
        raise DataError(
            f"{folder} holds {files[0].name}, the original, which is not read; "
            "unpack the new protocol's images (CUHK03-NP) and give their folder detected or labeled"
        )
