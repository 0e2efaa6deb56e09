"""A gallery of made items with labels, times, metadata and quality."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vitreid.service.gallery import Gallery, Item, NewItem
from vitreid.service.gallery.items import Quality

DIMENSION = 8
ITEMS = 80
MORNING = datetime(2026, 5, 1, 8, tzinfo=UTC)


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made_items() -> list[NewItem]:
    random = np.random.default_rng(7)

    def one_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    return [
        NewItem(
            embedding=row,
            image_hash=hashlib.sha256(row.tobytes()).hexdigest(),
            camera_id=one_of("c1", "c2", "c3", None),
            person_id=one_of("p1", "p2", "p3", "p4", "p5", None),
            track_id=one_of(*(f"t{i}" for i in range(12)), None, None),
            captured_at=one_of(*(MORNING + timedelta(minutes=10 * i) for i in range(12)), None),
            metadata=one_of({}, {"gate": 3}, {"gate": "3"}, {"gate": 3, "open": True}, {"open": None}),
            quality=one_of(Quality(64, 32, 40.0, 0.2, 0.0), Quality(128, 64, 900.0, 0.5, 0.25), None),
        )
        for row in unit_rows(ITEMS, seed=1)
    ]


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("galleries") / "made"
    with Gallery.open(folder, bundle_id="a" * 64, dimension=DIMENSION) as opened:
        opened.add(made_items())
        yield opened


@pytest.fixture(scope="session")
def every(gallery: Gallery) -> list[tuple[Item, np.ndarray]]:
    """All items with their embeddings."""
    items = gallery.items(limit=1000)
    return list(zip(items, gallery.embeddings([item.id for item in items]), strict=True))
