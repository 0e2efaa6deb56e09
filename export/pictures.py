"""Pictures on which two models are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle import ImageSpec, read_image, resize_to_spec
from synthetic import draw_dataset


def read_pictures(paths: Sequence[Path], spec: ImageSpec) -> NDArray[np.uint8]:
    """Read pictures to (N, H, W, 3)."""
    return np.stack([resize_to_spec(read_image(path), spec) for path in paths])


def drawn_pictures(count: int, spec: ImageSpec) -> NDArray[np.uint8]:
    """Draw `count` pictures of people, every person by four cameras, to (N, H, W, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder) / "people", identities=-(-count // 4), cameras=4, images=1, seed=0, workers=1)
        paths = sorted((Path(folder) / "people").rglob("*.jpg"))[:count]
        return read_pictures(paths, spec)
