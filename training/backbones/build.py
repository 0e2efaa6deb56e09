"""Backbones by name, built from a recipe and checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, cast

import timm
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from vitreid.training.backbones.attention import RELATIVE
from vitreid.training.backbones.cnn import build_cnn
from vitreid.training.backbones.meta import check_forward
from vitreid.training.backbones.protocol import Backbone
from vitreid.training.backbones.stems import STEMS
from vitreid.training.backbones.timm_models import timm_model
from vitreid.training.backbones.transreid import (
    SIE,
    OverlappingPatches,
    PositionEmbedding,
    PositionEmbedding1d,
    TransReID,
    jpm_indices,
)
from vitreid.training.config import JPMConfig, ModelConfig
from vitreid.training.errors import ConfigError


class Builder(Protocol):
    """Builds a backbone for so many cameras and views, with random weights or its `pretrained` ones, downloaded."""

    def __call__(self, part: ModelConfig, *, pretrained: bool, cameras: int, views: int) -> Backbone:
        """Raise ConfigError if the recipe's part cannot be built."""


def build_backbone(part: ModelConfig, *, pretrained: bool = False, cameras: int = 0, views: int = 0) -> Backbone:
    """Build a recipe's backbone for numbers of training cameras and views.

    Raises ConfigError if it cannot be built or does not work on images of the recipe's size.
    """
    family = max((prefix for prefix in BACKBONES if part.backbone.startswith(prefix)), key=len)
    backbone = BACKBONES[family](part, pretrained=pretrained, cameras=cameras, views=views)
    check_forward(backbone, (part.height, part.width), part.backbone)
    return backbone


def _resnet(part: ModelConfig, *, pretrained: bool, cameras: int, views: int) -> Backbone:
    of_transformers = {"stem", "stride", "position", "position_at", "relative", "zero_cls", "sie", "jpm", "pool"}
    if given := sorted(name for name in of_transformers if getattr(part, name) != getattr(ModelConfig(), name)):
        raise ConfigError(f"model.{given[0]} is for transformers; leave it out with backbone = {part.backbone!r}")
    return build_cnn(part.backbone, pretrained=pretrained, options=part.options)


def _vit(part: ModelConfig, *, pretrained: bool, cameras: int, views: int) -> Backbone:
    return build_vit(
        part.backbone,
        size=(part.height, part.width),
        stem=part.stem,
        stride=part.stride,
        pretrained=pretrained,
        options=part.options,
        position=part.position,
        position_at=part.position_at,
        relative=None if part.relative == "none" else part.relative,
        zero_cls=part.zero_cls,
        cameras=cameras if part.sie in ("camera", "both") else 0,
        views=views if part.sie in ("view", "both") else 0,
        sie_scale=part.sie_scale,
        jpm=part.jpm,
        pool=part.pool,
    )


BACKBONES: dict[str, Builder] = {"vit_": _vit, "deit": _vit, "": _resnet}
"""Builders by the beginning of the names that they build; the longest one counts. Other names are ResNets of timm."""


def build_vit(
    name: str,
    *,
    size: tuple[int, int],
    stem: str = "patch",
    stride: int | None = None,
    pretrained: bool = False,
    options: Mapping[str, object] = {},
    position: str = "1d",
    position_at: str = "stem",
    relative: str | None = None,
    zero_cls: bool = False,
    cameras: int = 0,
    views: int = 0,
    sie_scale: float = 3.0,
    jpm: JPMConfig | None = None,
    pool: str = "cls",
) -> TransReID:
    """Build a timm ViT for images of `size` (height, width).

    Its weights are random, or with `pretrained` timm's published ones, downloaded, with the position embedding resized
    to this grid. `options` go to timm's constructor. `stride` lets patches overlap. `position` is a name of POSITIONS
    or "none", `relative` one of RELATIVE, `pool` one of POOLS. `cameras` and `views` are the numbers with SIE, 0 for
    none.

    Raises ConfigError for a name that is not a ViT of timm, and for options that do not fit.
    """
    described = f"{name} at {size[0]}x{size[1]} with stem {stem!r} and options {dict(options)}"
    if not timm.is_model(name) or not name.startswith(("vit_", "deit")):
        raise ConfigError(
            f"model.backbone = {name!r} is not a Vision Transformer of timm; take one of timm.list_models('vit_*')"
        )
    arguments = _arguments(size, stem, stride)
    vit = cast("Any", timm_model(name, described, options=options, pretrained=pretrained, arguments=arguments))
    _check_layers(vit, described)
    grid: tuple[int, int] = vit.patch_embed.grid_size
    try:
        if relative is not None:
            for block in vit.blocks:
                block.attn = RELATIVE[relative](block.attn, grid)
        sie = SIE(cameras, views, vit.embed_dim, scale=sie_scale) if cameras > 1 or views > 1 else None
        embedding = None if position == "none" else _position(vit, position, position_at)
        cut = None if jpm is None else jpm_indices(grid[0] * grid[1], roll=jpm.roll, groups=jpm.groups, parts=jpm.parts)
        built = TransReID(vit, position=embedding, sie=sie, patch_indices=cut, pool=pool)
    except ValueError as error:
        raise ConfigError(f"model: {described}: {error}") from error
    if zero_cls:
        nn.init.zeros_(vit.cls_token)
    return built


def _check_layers(vit: Any, described: str) -> None:
    """Raise ConfigError unless a network has one class token with a position, patches, and timm's plain blocks."""
    if (
        not isinstance(vit, VisionTransformer)
        or vit.cls_token is None
        or vit.num_prefix_tokens != 1
        or vit.no_embed_class
    ):
        raise ConfigError(
            f"model: {described} has no single class token with a position; take a plain vit_* or deit_* of timm"
        )
    rows, columns = vit.patch_embed.grid_size
    if not (rows and columns and len(vit.blocks)):
        raise ConfigError(
            f"model: {described} has {rows}x{columns} patches and {len(vit.blocks)} blocks; give some of each"
        )
    if other := [type(block).__name__ for block in vit.blocks if type(block) is not Block]:
        raise ConfigError(f"model: {described} has blocks of the class {other[0]}; take a plain vit_* or deit_*")


def _arguments(size: tuple[int, int], stem: str, stride: int | None) -> dict[str, Any]:
    if stride is not None and stem != "patch":
        raise ConfigError(f"model.stride = {stride} is for the stem 'patch'; leave it out with {stem!r}")
    arguments: dict[str, Any] = {"img_size": size}
    if stride is not None:
        arguments["embed_layer"] = partial(OverlappingPatches, stride=stride)
    elif stem != "patch":  # timm builds its own patch embedding, and its loader expects that one
        arguments["embed_layer"] = STEMS[stem]
    return arguments


def _position(vit: VisionTransformer, kind: str, at: str) -> PositionEmbedding:
    grid, depth = vit.patch_embed.grid_size, len(vit.blocks)
    built = PositionEmbedding(kind, at, grid=grid, dimension=vit.embed_dim, depth=depth)
    first = built.embeddings[0]
    if isinstance(first, PositionEmbedding1d) and vit.pos_embed is not None:
        first.pos_embed = vit.pos_embed  # resized by timm if weights were loaded
    return built
