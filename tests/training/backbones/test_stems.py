from __future__ import annotations

from typing import Any

import pytest
import torch

from vitreid.training.backbones import build_vit
from vitreid.training.backbones.stems import HalfInstanceNorm
from vitreid.training.errors import ConfigError

SMALL: dict[str, Any] = {"embed_dim": 24, "depth": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("size", "stride", "grid"),
    [
        ((256, 128), 16, (16, 8)),
        ((256, 128), 14, (18, 9)),
        ((256, 128), 12, (21, 10)),
        ((256, 128), 11, (22, 11)),
        ((384, 128), 14, (27, 9)),
        ((384, 128), 12, (31, 10)),
    ],
)
def test_grids_of_overlapping_patches(size: tuple[int, int], stride: int, grid: tuple[int, int]) -> None:
    vit = build_vit("vit_tiny_patch16_224", size=size, stride=stride, options=SMALL)
    assert vit.grid == grid
    assert vit(torch.randn(1, 3, *size)).patches.shape[1] == grid[0] * grid[1]


def test_overlapping_patches_see_what_lies_under_them() -> None:
    """A patch embedding of stride 8 is the plain one of the image's windows."""
    torch.manual_seed(0)
    vit = build_vit("vit_tiny_patch16_224", size=(32, 32), stride=8, options=SMALL)
    images = torch.randn(1, 3, 32, 32)
    tokens = vit.patch_embed(images)
    weight, bias = vit.patch_embed.proj.weight, vit.patch_embed.proj.bias
    for row in range(3):
        for column in range(3):
            window = images[0, :, 8 * row : 8 * row + 16, 8 * column : 8 * column + 16]
            expected = (weight * window).sum((1, 2, 3)) + bias
            torch.testing.assert_close(tokens[0, 3 * row + column], expected, atol=1e-4, rtol=1e-4)


def test_half_of_the_channels_are_normed_by_image() -> None:
    norm = HalfInstanceNorm(4).eval()
    maps = torch.randn(2, 4, 8, 8) * 5 + 3
    seen = norm(maps)
    torch.testing.assert_close(seen[:, :2].mean((2, 3)), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, 2:], maps[:, 2:], atol=1e-4, rtol=1e-4)  # untrained statistics


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stride": 0}, "stride 0 must lie between 1 and the patch size 16"),
        ({"stride": 17}, "stride 17 must lie between 1 and the patch size 16"),
        ({"stride": 8, "stem": "conv"}, "model.stride = 8 is for the stem 'patch'"),
        ({"stem": "ics", "size": (60, 32)}, "must be even and divide"),
        ({"stem": "resnet", "options": {**SMALL, "patch_size": 8}}, "must be 16"),
    ],
)
def test_what_cannot_be_built(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_vit("vit_tiny_patch16_224", **({"size": (64, 32), "options": SMALL} | values))
