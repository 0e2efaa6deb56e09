"""timm's Vision Transformers at a rectangular input, with the project's stems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import timm
from timm.layers.attention import Attention
from timm.layers.patch_embed import PatchEmbed
from torch import nn

from training.backbones.conv_stem import ConvStem
from training.errors import ConfigError

STEMS: dict[str, Callable[..., nn.Module]] = {"patch": PatchEmbed, "conv": ConvStem}


def build_vit(
    name: str,
    *,
    size: tuple[int, int],
    stem: str = "patch",
    weights: str = "random",
    options: Mapping[str, object] = {},
) -> nn.Module:
    """Build a timm ViT without classifier for pictures of `size` (height, width); it gives (B, num_features).

    `weights` is "random", "timm" for the published ones, or a file in timm's layout; a position embedding of another
    grid is resized to this one. `options` go to timm's constructor.

    Raises ConfigError for a name that is no ViT of timm, and for options or weights that do not fit.
    """
    if not timm.is_model(name) or not name.startswith(("vit_", "deit")):
        raise ConfigError(f"model.backbone = {name!r} is no Vision Transformer of timm; see timm.list_models('vit_*')")
    if weights not in ("random", "timm") and not Path(weights).is_file():
        raise ConfigError(f"model.weights = {weights!r} is neither 'random' nor 'timm' nor a file")
    arguments: dict[str, Any] = {"pretrained": weights != "random", "num_classes": 0, "img_size": size}
    if weights not in ("random", "timm"):
        arguments["pretrained_cfg_overlay"] = {"file": weights}
    if stem != "patch":  # timm builds its own patch embedding, and its loader expects that one
        arguments["embed_layer"] = STEMS[stem]
    try:
        vit: nn.Module = timm.create_model(name, **(arguments | dict(options)))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        told = f"{name} at {size[0]}x{size[1]} with stem {stem!r} and options {dict(options)}"
        raise ConfigError(f"model: timm cannot build {told}: {reason}") from error
    return vit


def fuse_attention(model: nn.Module, fused: bool) -> None:
    """Choose between torch's fused attention and softmax(q k) v written out; both give the same values.

    The fused kernel's backward pass is slow on a CPU: ViT-Ti at 256x128 trains 1.5 times as fast without it.
    """
    for module in model.modules():
        if isinstance(module, Attention):
            module.fused_attn = fused  # type: ignore[misc]  # final for TorchScript only
