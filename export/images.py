"""Images on which two models are compared."""

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

IMAGES = 64
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def choose_images(folder: Path | None, spec: ImageSpec, count: int = IMAGES) -> tuple[NDArray[np.uint8], str]:
    """Return up to `count` images (N, H, W, 3) and their description: of a folder, or drawn people.

    Raises ExportError if the folder holds none, ImageError for an image that cannot be read.
    """
    if folder is None:
        return drawn_images(count, spec), f"{count} drawn people"
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ExportError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}); give another folder")
    chosen = sorted(random.Random(0).sample(paths, min(count, len(paths))))
    return read_images(chosen, spec), f"{len(chosen)} images of {folder.resolve().name}"


def read_images(paths: Sequence[Path], spec: ImageSpec) -> NDArray[np.uint8]:
    """Read images to (N, H, W, 3)."""
    return np.stack([resize_to_spec(read_image(path), spec) for path in paths])


def drawn_images(count: int, spec: ImageSpec) -> NDArray[np.uint8]:
    """Draw `count` images of people, every person by four cameras, to (N, H, W, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder) / "people", identities=-(-count // 4), cameras=4, images=1, seed=0, workers=1)
        paths = sorted((Path(folder) / "people").rglob("*.jpg"))[:count]
        return read_images(paths, spec)
