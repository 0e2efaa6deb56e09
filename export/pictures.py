"""Pictures on which two models are compared."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageSpec, read_image, resize_to_spec
from vitreid.export.errors import ExportError
from vitreid.synthetic import draw_dataset

PICTURES = 64
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def choose_pictures(folder: Path | None, spec: ImageSpec, count: int = PICTURES) -> tuple[NDArray[np.uint8], str]:
    """Up to `count` pictures (N, H, W, 3), and what they are: of a folder, or drawn people.

    Raises ExportError where the folder holds none, ImageError for a picture that cannot be read.
    """
    if folder is None:
        return drawn_pictures(count, spec), f"{count} drawn people"
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ExportError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}); give another folder")
    chosen = sorted(random.Random(0).sample(paths, min(count, len(paths))))
    return read_pictures(chosen, spec), f"{len(chosen)} pictures of {folder.resolve().name}"


def read_pictures(paths: Sequence[Path], spec: ImageSpec) -> NDArray[np.uint8]:
    """Read pictures to (N, H, W, 3)."""
    return np.stack([resize_to_spec(read_image(path), spec) for path in paths])


def drawn_pictures(count: int, spec: ImageSpec) -> NDArray[np.uint8]:
    """Draw `count` pictures of people, every person by four cameras, to (N, H, W, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder) / "people", identities=-(-count // 4), cameras=4, images=1, seed=0, workers=1)
        paths = sorted((Path(folder) / "people").rglob("*.jpg"))[:count]
        return read_pictures(paths, spec)
