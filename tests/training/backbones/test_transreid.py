"""timm's ViTs at rectangular inputs: grids, stems, and names that do not exist."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models import group_parameters

from vitreid.training.backbones import STEMS, TransReID, build_vit
from vitreid.training.config import JPMConfig
from vitreid.training.errors import ConfigError

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize(("size", "tokens"), [((256, 128), 128), ((128, 64), 32)])
def test_rectangular_inputs(stem: str, size: tuple[int, int], tokens: int) -> None:
    vit = build_vit("vit_tiny_patch16_224", size=size, stem=stem, options=SMALL)
    assert vit.position.before(0).shape == (1, tokens + 1, 24)
    seen = vit(torch.randn(2, 3, *size))
    assert seen.global_feature.shape == seen.cls.shape == (2, 24)
    assert seen.patches.shape == (2, tokens, 24)


@pytest.mark.parametrize(
    "name", ["vit_small_patch16_224", "vit_base_patch32_224", "deit_tiny_patch16_224", "vit_tiny_r_s16_p8_224"]
)
def test_any_vit_of_timm(name: str) -> None:
    vit = build_vit(name, size=(256, 128), options={"depth": 1})
    assert vit(torch.randn(1, 3, 256, 128)).global_feature.shape == (1, vit.num_features)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet50"}, "not a Vision Transformer"),
        ({"name": "vit_imaginary"}, "not a Vision Transformer"),
        ({"options": {"dept": 3}}, "options.dept does not describe a network; allowed: "),
        ({"options": {"global_pool": "avg"}}, "model.options.global_pool is not an option here; use model.pool"),
        ({"options": {"in_chans": 1}}, "model.options.in_chans is not an option here; images have three channels"),
        ({"options": {"patch_drop_rate": 0.5}}, "model.options.patch_drop_rate is not an option here; all patches are"),
        ({"options": {"drop_path_rate": 2}}, "drop_path_rate = 2 is not a share; give a number from 0 to below 1"),
        ({"options": {"proj_drop_rate": "much"}}, "proj_drop_rate = 'much' is not a share"),
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


def small(**arguments: Any) -> TransReID:
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "size": (64, 32),
        "options": SMALL,
        "cameras": 3,
        "jpm": JPMConfig(roll=1, parts=2),
    } | arguments
    return build_vit("vit_tiny_patch16_224", **values)


@pytest.mark.parametrize("relative", [None, "bias"])
def test_hooks_of_all_layers_are_called(relative: str | None) -> None:
    vit = small(relative=relative)
    called: set[str] = set()
    used = ("patch_embed", "pos_drop", "norm_pre", "norm", "sie", "jpm", "jpm.block", "blocks.0", "blocks.1")
    for name, module in vit.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    vit(torch.randn(2, 3, 64, 32))
    assert {*used, "blocks.0.attn", "blocks.1.mlp", "jpm.block.attn"} <= called


@pytest.mark.parametrize("relative", [None, "keys"])
def test_gradient_checkpointing_does_not_change_gradients(relative: str | None) -> None:
    vit = small(relative=relative, position="2d", position_at="every")
    images = torch.randn(2, 3, 64, 32)
    gradients = []
    for enabled in (False, True):
        vit.set_grad_checkpointing(enabled)
        vit.zero_grad()
        torch.cat(vit(images).all).pow(2).sum().backward()
        gradients.append({name: each.grad for name, each in vit.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_intermediates_of_timm() -> None:
    vit = small().eval()
    images = torch.randn(2, 3, 64, 32)
    normed, [first, _] = vit.forward_intermediates(images, output_fmt="NLC")
    torch.testing.assert_close(normed, vit.forward_features(images))
    torch.testing.assert_close(normed[:, 0], vit(images).cls)
    torch.testing.assert_close(first, vit.forward_to_last_block(images)[:, 1:])
    with pytest.raises(NotImplementedError, match="position_at = 'stem'"):
        small(position_at="every").forward_intermediates(images)


def test_layers_and_decay_of_added_parameters() -> None:
    vit = small(relative="bias", position="2d")
    layers = group_parameters(vit, vit.group_matcher(), reverse=True)
    assert layers["sie.sie_embed"] == layers["position.embeddings.0.row_pos_embed"] == layers["cls_token"] == 0
    assert layers["jpm.block.attn.qkv.weight"] == layers["blocks.1.attn.qkv.weight"] == 2
    assert layers["jpm.norm.weight"] == layers["norm.weight"] == layers["jpm.block.attn.qkv.weight"]
    assert vit.no_weight_decay() == {
        "cls_token",
        "sie.sie_embed",
        *(f"position.embeddings.0.{name}_pos_embed" for name in ("cls", "row", "column")),
        *(f"{block}.attn.relative_bias" for block in ("blocks.0", "blocks.1", "jpm.block")),
    }
