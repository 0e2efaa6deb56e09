"""Made embeddings and items."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.service.gallery import Gallery, NewItem

BUNDLE_ID = "a" * 64
DIMENSION = 16


def unit_rows(count: int, *, seed: int, dimension: int = DIMENSION) -> np.ndarray:
    """(count, dimension) float32 rows of unit length."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def make_items() -> Callable[..., list[NewItem]]:
    """Builds items with distinct embeddings and hashes; `seed` names a series of them."""

    def make(count: int, *, seed: int = 0, **values: Any) -> list[NewItem]:
        return [
            NewItem(
                embedding=row,
                image_hash=hashlib.sha256(row.tobytes()).hexdigest(),
                **{"image": b"image of " + row.tobytes(), "camera_id": "c1"} | values,
            )
            for row in unit_rows(count, seed=seed)
        ]

    return make


@pytest.fixture
def open_gallery(tmp_path: Path) -> Callable[..., Gallery]:
    """Opens the test's gallery."""

    def open_(folder: Path = tmp_path / "gallery", **values: Any) -> Gallery:
        return Gallery.open(folder, **(dict[str, Any](bundle_id=BUNDLE_ID, dimension=DIMENSION) | values))

    return open_
