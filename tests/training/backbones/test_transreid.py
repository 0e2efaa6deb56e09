"""timm's ViTs at rectangular inputs: grids, stems, and names that do not exist."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vitreid.training.backbones import STEMS, build_vit
from vitreid.training.errors import ConfigError

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize(("size", "tokens"), [((256, 128), 128), ((128, 64), 32)])
def test_rectangular_inputs(stem: str, size: tuple[int, int], tokens: int) -> None:
    vit = build_vit("vit_tiny_patch16_224", size=size, stem=stem, options=SMALL)
    assert vit.position.before(0).shape == (1, tokens + 1, 24)
    seen = vit(torch.randn(2, 3, *size))
    assert seen.parts[0].shape == seen.cls.shape == (2, 24)
    assert seen.patches.shape == (2, tokens, 24)


@pytest.mark.parametrize(
    "name", ["vit_small_patch16_224", "vit_base_patch32_224", "deit_tiny_patch16_224", "vit_tiny_r_s16_p8_224"]
)
def test_any_vit_of_timm(name: str) -> None:
    vit = build_vit(name, size=(256, 128), options={"depth": 1})
    assert vit(torch.randn(1, 3, 256, 128)).parts[0].shape == (1, vit.num_features)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet50"}, "no Vision Transformer"),
        ({"name": "vit_imaginary"}, "no Vision Transformer"),
        ({"options": {"dept": 3}}, "options.dept describes no network; allowed: "),
        ({"options": {"global_pool": "avg"}}, "model.options.global_pool is not for timm here; say model.pool"),
        ({"options": {"in_chans": 1}}, "model.options.in_chans is not for timm here; images have three channels"),
        ({"options": {"patch_drop_rate": 0.5}}, "model.options.patch_drop_rate is not for timm here; all patches are"),
        ({"options": {"drop_path_rate": 2}}, "drop_path_rate = 2 is no share; give a number from 0 to below 1"),
        ({"options": {"proj_drop_rate": "much"}}, "proj_drop_rate = 'much' is no share"),
        ({"options": {"embed_dim": 25, "num_heads": 2}}, "cannot build"),
        ({"options": {"num_heads": 0}}, "cannot build"),
        ({"options": {"norm_layer": "none"}}, "cannot build"),
        ({"options": {"depth": 0}}, "has 4x2 patches and 0 blocks; give some of each"),
        ({"options": {"patch_size": 64}}, "has 1x0 patches and 12 blocks"),
        ({"stem": "conv", "size": (60, 32)}, "must be a power of two that divides"),
    ],
)
def test_what_cannot_be_built(arguments: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"name": "vit_tiny_patch16_224", "size": (64, 32)}
    with pytest.raises(ConfigError, match=message) as caught:
        build_vit(**(good | arguments))
    assert "\n" not in str(caught.value)
