"""Occluded-Duke: DukeMTMC-reID split anew so that every query shows somebody who is partly hidden.

Miao et al., "Pose-Guided Feature Alignment for Occluded Person Re-Identification", ICCV 2019.
"""

from __future__ import annotations

from pathlib import Path

from vitreid.training.datasets.named import read_named
from vitreid.training.datasets.split import Split


def read_occluded(folder: Path) -> Split:
    """Read Occluded_Duke/, which the authors' script makes of DukeMTMC-reID and their lists of names."""
    return read_named(folder, "Occluded-Duke")
