"""Random views: each step against what it stands for, and equal draws for equal seeds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vitreid.training.views import ChannelJitter, seeded, train_view

SIZE = (16, 8)
PLAIN: dict[str, Any] = {"flip": 0.0, "pad": 0, "erase": 0.0, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.1)}
UNIT: dict[str, Any] = PLAIN | {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.fixture
def image() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, *SIZE), dtype=np.uint8))


def drawn(image: Tensor, seed: int = 0, **options: Any) -> Tensor:
    with seeded(seed):
        return train_view((image.shape[1], image.shape[2]), **options)(image)


def test_without_changes_it_only_normalizes(image: Tensor) -> None:
    mean, std = (torch.tensor(PLAIN[name])[:, None, None] for name in ("mean", "std"))
    found = drawn(image, **PLAIN)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (image / 255 - mean) / std)


def test_flip_mirrors_left_and_right(image: Tensor) -> None:
    torch.testing.assert_close(drawn(image, **(PLAIN | {"flip": 1.0})), drawn(image, **PLAIN).flip(2))


def test_shift_moves_by_at_most_the_pad(image: Tensor) -> None:
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
    offsets = set()
    for seed in range(200):
        shifted = (drawn(image, seed, **(UNIT | {"pad": 2})) * 255).round().byte()
        equal = [(y, x) for y in range(5) for x in range(5) if torch.equal(shifted, padded[:, y : y + 16, x : x + 8])]
        offsets.add(equal[0])
    assert len(offsets) == 25


def test_erasing_replaces_one_rectangle_within_the_bounds() -> None:
    white = torch.full((3, 64, 32), 255, dtype=torch.uint8)
    for seed in range(100):
        erased = drawn(white, seed, **(UNIT | {"erase": 1.0, "erase_area": (0.02, 0.3)}))
        rows, columns = ((erased != 1).all(0)).nonzero(as_tuple=True)
        area = int((rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1))
        assert area == len(rows)  # a rectangle without holes
        assert 0.01 < area / (64 * 32) < 0.33


def test_erasing_fills_with_normal_noise() -> None:
    black = torch.zeros((3, 64, 64), dtype=torch.uint8)
    noise = torch.cat(
        [each[each != 0] for each in (drawn(black, seed, **(UNIT | {"erase": 1.0})) for seed in range(30))]
    )
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02


def test_affine_zooms_and_turns_about_the_centre() -> None:
    """A bright square in the middle stays there, and covers the square of the zoom as much."""
    image = torch.zeros((3, 64, 64), dtype=torch.uint8)
    image[:, 24:40, 24:40] = 255
    weights = []
    for seed in range(40):
        moved = drawn(image, seed, **(UNIT | {"scale": 0.3, "rotate": 25}))[0]
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
        weight = moved.sum()
        centre = [float((axis * moved).sum() / weight) for axis in (rows, columns)]
        assert centre == pytest.approx([31.5, 31.5], abs=0.5)
        weights.append(float(weight / 256) ** 0.5)
    assert 0.68 < min(weights) < 0.8
    assert 1.2 < max(weights) < 1.32


def test_jitter_scales_and_stays_in_range(image: Tensor) -> None:
    grey = torch.full((3, *SIZE), 100, dtype=torch.uint8)
    factors = {round(float(drawn(grey, seed, **(UNIT | {"brightness": 0.3})).mean() * 2.55), 4) for seed in range(50)}
    assert len(factors) > 40
    assert 0.69 < min(factors) < max(factors) < 1.31
    strong = {"brightness": 0.9, "contrast": 0.9, "saturation": 0.9, "channel_jitter": 0.9}
    for seed in range(20):
        changed = drawn(image, seed, **(UNIT | strong))
        assert changed.min() >= 0
        assert changed.max() <= 1


def test_channel_jitter_scales_each_channel() -> None:
    with seeded(2):
        changed = ChannelJitter(0.4)(torch.full((3, 4, 4), 0.5))
    assert len({float(value) for value in changed[:, 0, 0]}) == 3
    assert (changed / 0.5 - 1).abs().max() <= 0.4


def test_equal_numbers_give_equal_views_and_leave_the_generators_alone(image: Tensor) -> None:
    options = PLAIN | {"pad": 2, "brightness": 0.3, "scale": 0.2, "flip": 0.5, "erase": 1.0}
    torch.manual_seed(1)
    random.seed(1)
    first, second = (drawn(image, 5, **options) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, drawn(image, 6, **options))
    after = torch.rand(1), random.random()
    torch.manual_seed(1)
    random.seed(1)
    assert after == (torch.rand(1), random.random())
