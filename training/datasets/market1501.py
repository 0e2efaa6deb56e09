"""Market-1501's layout: three folders of images whose names say person and camera.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. Junk boxes (person -1) are left out,
distractors (person 0000) stay in the gallery as wrong answers, and neither train nor are asked for.
"""

from __future__ import annotations

from pathlib import Path

from vitreid.training.datasets.named import FOLDERS, named_samples
from vitreid.training.datasets.split import Split
from vitreid.training.errors import WrongLayout


def read_market1501(folder: Path) -> Split:
    """Read a folder with bounding_box_train/, query/ and bounding_box_test/; one that is missing counts as empty."""
    if not any((folder / name).is_dir() for name in FOLDERS):
        raise WrongLayout(f"{folder} has none of the folders {', '.join(FOLDERS)} of Market-1501's layout")
    parts = [named_samples(folder / name) if (folder / name).is_dir() else () for name in FOLDERS]
    if not any(parts):
        raise WrongLayout(f"{folder} holds no images named like 0002_c1s1_000451_03.jpg")
    return Split(*parts)
