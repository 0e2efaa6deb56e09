from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vitreid.training.views import color_jitter, random_affine, random_erase, random_shift, train_transform

PLAIN: dict[str, Any] = {"flip": 0.0, "pad": 0, "erase": 0.0, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.1)}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 8, 3), dtype=np.uint8)


def test_without_changes_it_only_normalises(image: np.ndarray) -> None:
    found = train_transform(image, np.random.default_rng(0), **PLAIN)
    expected = (image / 255 - PLAIN["mean"]) / PLAIN["std"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), atol=1e-5)


def test_it_computes_in_float32(image: np.ndarray) -> None:
    """To the last bit: float64 would round once, and takes twice as long."""
    found = train_transform(image, np.random.default_rng(0), **PLAIN)
    mean, std = (np.array(PLAIN[name], np.float32) for name in ("mean", "std"))
    np.testing.assert_array_equal(found, ((image / np.float32(255) - mean) / std).transpose(2, 0, 1))


def test_flip_mirrors_left_and_right(image: np.ndarray) -> None:
    flipped = train_transform(image, np.random.default_rng(0), **(PLAIN | {"flip": 1.0}))
    plain = train_transform(image, np.random.default_rng(0), **PLAIN)
    np.testing.assert_array_equal(flipped, plain[:, :, ::-1])


def test_shift_moves_by_at_most_the_pad(image: np.ndarray) -> None:
    offsets = set()
    for seed in range(200):
        shifted = random_shift(image, np.random.default_rng(seed), 2)
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        places = [(y, x) for y in range(5) for x in range(5) if np.array_equal(shifted, padded[y : y + 16, x : x + 8])]
        offsets.add(places[0])
    assert len(offsets) == 25


def test_erasing_replaces_one_rectangle_within_the_bounds() -> None:
    for seed in range(100):
        pixels = np.full((64, 32, 3), 9.0, np.float32)
        random_erase(pixels, np.random.default_rng(seed), (0.02, 0.3))
        rows, columns = np.nonzero((pixels != 9).all(2))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert area == len(rows)  # a rectangle without holes
        assert 0.01 < area / (64 * 32) < 0.33


def test_affine_without_change_is_the_image(image: np.ndarray) -> None:
    np.testing.assert_array_equal(random_affine(image, np.random.default_rng(0), 0, 0), image)


def test_affine_zooms_and_turns_about_the_centre() -> None:
    """A slow loop asks for every pixel where it comes from and interpolates there."""
    smooth = np.linspace(0, 255, 40)[:, None, None] * np.linspace(0.2, 1, 20)[None, :, None] * np.ones(3)
    image = smooth.astype(np.uint8)
    found = random_affine(image, np.random.default_rng(4), 0.3, 25)
    random = np.random.default_rng(4)
    zoom, angle = 1 + random.uniform(-0.3, 0.3), np.deg2rad(random.uniform(-25, 25))
    for row in range(40):
        for column in range(20):
            dx, dy = column + 0.5 - 10, row + 0.5 - 20
            x = (np.cos(angle) * dx + np.sin(angle) * dy) / zoom + 10 - 0.5
            y = (-np.sin(angle) * dx + np.cos(angle) * dy) / zoom + 20 - 0.5
            if 0 < x < 18 and 0 < y < 38:
                fx, fy, ix, iy = x % 1, y % 1, int(x), int(y)
                box = image[iy : iy + 2, ix : ix + 2].astype(float)
                rows = box[0] * (1 - fy) + box[1] * fy
                assert np.abs(found[row, column] - (rows[0] * (1 - fx) + rows[1] * fx)).max() <= 1.01


def test_channel_jitter_scales_each_channel() -> None:
    pixels = np.full((4, 4, 3), 0.5, np.float32)
    changed = color_jitter(pixels, np.random.default_rng(2), 0, 0, 0, 0.4)
    assert len({float(v) for v in changed[0, 0]}) == 3
    assert np.abs(changed / 0.5 - 1).max() <= 0.4


def test_jitter_scales_and_stays_in_range() -> None:
    pixels = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    random = np.random.default_rng(1)
    factor = np.random.default_rng(1).uniform(-0.5, 0.5) + 1
    np.testing.assert_allclose(color_jitter(pixels, random, 0.5, 0, 0), np.clip(pixels * factor, 0, 1), atol=1e-6)
    for seed in range(20):
        changed = color_jitter(pixels, np.random.default_rng(seed), 0.9, 0.9, 0.9)
        assert changed.min() >= 0
        assert changed.max() <= 1


def test_the_same_generator_gives_the_same_image(image: np.ndarray) -> None:
    options = {"mean": PLAIN["mean"], "std": PLAIN["std"], "pad": 2, "brightness": 0.3, "erase": 1.0}
    first, second = (train_transform(image, np.random.default_rng(5), **options) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, train_transform(image, np.random.default_rng(6), **options))
