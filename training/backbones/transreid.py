"""timm's Vision Transformers for re-identification: any size, stride and stem, side information, jigsaw, positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vitreid.training.backbones.blocks import run_block
from vitreid.training.backbones.features import Features
from vitreid.training.backbones.jpm import JPM
from vitreid.training.backbones.positions import PositionEmbedding, PositionEmbedding1d
from vitreid.training.backbones.relative import RELATIVE, BiasAttention, RelativeAttention
from vitreid.training.backbones.side import SIE
from vitreid.training.backbones.stems import STEMS, OverlappingPatches
from vitreid.training.backbones.timm_models import timm_model
from vitreid.training.errors import ConfigError


def pool_cls(tokens: Tensor) -> Tensor:
    """The class token."""
    return tokens[:, 0]


def pool_mean(tokens: Tensor) -> Tensor:
    """The mean of the patches."""
    return tokens[:, 1:].mean(1)


def pool_weighted(tokens: Tensor) -> Tensor:
    """The patches weighted by how much they agree with the class token."""
    return (agreement(tokens)[:, None] @ tokens[:, 1:])[:, 0]


def pool_cls_gem(tokens: Tensor) -> Tensor:
    """The class token plus the generalised mean (p = 3) of the patches, as TransReID-SSL's GEM_POOLING does."""
    return tokens[:, 0] + tokens[:, 1:].clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)


def agreement(tokens: Tensor) -> Tensor:
    """How much each patch agrees with the class token, (B, N), rows with the sum 1: softmax(cls . patch / sqrt D)."""
    cls, patches = tokens[:, :1], tokens[:, 1:]
    products: Tensor = cls @ patches.transpose(1, 2) * cls.shape[2] ** -0.5
    return products.softmax(2)[:, 0]


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "cls": pool_cls,
    "mean": pool_mean,
    "weighted": pool_weighted,
    "cls_gem": pool_cls_gem,
}
"""From normed tokens (B, 1 + N, D), the class token first, to one feature (B, D)."""


@dataclass(frozen=True)
class JPMOptions:
    """How patches are shifted, interleaved and cut; see `jpm_indices`."""

    roll: int = 4
    groups: int = 2
    parts: int = 4


class ViT(nn.Module):
    """A timm transformer's stem, blocks and norm, with the project's positions, side information and heads."""

    def __init__(
        self,
        vit: VisionTransformer,
        *,
        position: PositionEmbedding | None,
        side: SIE | None,
        jpm: JPMOptions | None,
        pool: str,
    ) -> None:
        super().__init__()
        assert vit.cls_token is not None
        self.patch_embed, self.cls_token, self.pos_drop = vit.patch_embed, vit.cls_token, vit.pos_drop
        self.norm_pre, self.blocks, self.norm = vit.norm_pre, vit.blocks, vit.norm
        self.grid: tuple[int, int] = vit.patch_embed.grid_size
        self.num_features: int = vit.num_features
        self.position, self.sie = position, side
        self.pool = POOLS[pool]
        patches = self.grid[0] * self.grid[1]
        self.jpm = (
            None
            if jpm is None
            else JPM(vit.blocks[-1], vit.norm, patches=patches, roll=jpm.roll, groups=jpm.groups, parts=jpm.parts)
        )

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Features:
        """Features of normalised (B, 3, H, W) images; camera and view are (B,) indices, left out = unknown."""
        tokens = self.forward_to_last_block(images, camera, view)
        local = () if self.jpm is None else self.jpm(tokens)
        tokens = self.norm(run_block(self.blocks[-1], tokens))
        return Features((self.pool(tokens), *local), tokens[:, 0], tokens[:, 1:])

    def forward_to_last_block(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Tokens (B, 1 + N, D), the class token first, as the last block takes them; arguments as in `forward`."""
        patches: Tensor = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        if self.sie is not None:
            unknown = torch.full((patches.shape[0],), -1, dtype=torch.long, device=patches.device)
            tokens = tokens + self.sie(unknown if camera is None else camera, unknown if view is None else view)
        for number, block in enumerate(self.blocks[:-1]):
            tokens = run_block(block, self._placed(tokens, number))
        return self._placed(tokens, len(self.blocks) - 1)

    def positions(self) -> Tensor | None:
        """The absolute position embedding of the patches (N, D)."""
        return None if self.position is None else self.position.patches()

    def biases(self) -> Tensor | None:
        """The relative position bias of all heads of all blocks (layers x heads, N, N)."""
        found = [block.attn.bias() for block in self.blocks if isinstance(block.attn, BiasAttention)]
        return torch.cat(found) if found else None

    def _placed(self, tokens: Tensor, block: int) -> Tensor:
        embedding = None if self.position is None else self.position.before(block)
        if embedding is not None:
            tokens = tokens + embedding
        return self.norm_pre(self.pos_drop(tokens)) if block == 0 else tokens


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
    jpm: JPMOptions | None = None,
    pool: str = "cls",
) -> ViT:
    """Build a timm ViT for images of `size` (height, width).

    Its weights are random, or with `pretrained` timm's published ones, downloaded, with the position embedding resized
    to this grid. `options` go to timm's constructor. `stride` lets patches overlap. `position` is a
    name of positions.KINDS or "none", `relative` one of RELATIVE, `pool` one of POOLS. `cameras` and `views` are the
    numbers that side information tells apart, 0 for none.

    Raises ConfigError for a name that is no ViT of timm, and for options that do not fit.
    """
    told = f"{name} at {size[0]}x{size[1]} with stem {stem!r} and options {dict(options)}"
    if not timm.is_model(name) or not name.startswith(("vit_", "deit")):
        raise ConfigError(f"model.backbone = {name!r} is no Vision Transformer of timm; see timm.list_models('vit_*')")
    arguments = _arguments(size, stem, stride)
    vit = timm_model(name, told, options=options, pretrained=pretrained, arguments=arguments)
    if not isinstance(vit, VisionTransformer) or not _has_placed_class_token(vit):
        raise ConfigError(f"model: {told} has no single class token with a place; take a plain vit_* or deit_* of timm")
    grid: tuple[int, int] = vit.patch_embed.grid_size
    if not (grid[0] and grid[1] and len(vit.blocks)):
        raise ConfigError(
            f"model: {told} has {grid[0]}x{grid[1]} patches and {len(vit.blocks)} blocks; give some of each"
        )
    try:
        if relative is not None:
            blocks: Any = vit.blocks
            for block in blocks:
                block.attn = RELATIVE[relative](block.attn, grid)
        side = SIE(cameras, views, vit.embed_dim, scale=sie_scale) if cameras > 1 or views > 1 else None
        placed = _positions(vit, position, position_at)
        built = ViT(vit, position=placed, side=side, jpm=jpm, pool=pool)
    except ValueError as error:
        raise ConfigError(f"model: {told}: {error}") from error
    if zero_cls:
        nn.init.zeros_(built.cls_token)
    return built


def _has_placed_class_token(vit: VisionTransformer) -> bool:
    return vit.cls_token is not None and vit.num_prefix_tokens == 1 and not vit.no_embed_class


def fuse_attention(model: nn.Module, fused: bool) -> None:
    """Choose between torch's fused attention and softmax(q k) v written out; both give the same values.

    The fused kernel's backward pass is slow on a CPU: ViT-Ti at 256x128 trains 1.5 times as fast without it.
    """
    for module in model.modules():
        if isinstance(module, Attention | RelativeAttention):
            module.fused_attn = fused  # type: ignore[misc]  # final for TorchScript only


def _arguments(size: tuple[int, int], stem: str, stride: int | None) -> dict[str, Any]:
    if stride is not None and stem != "patch":
        raise ConfigError(f"model.stride = {stride} is for the stem 'patch'; leave it out with {stem!r}")
    arguments: dict[str, Any] = {"img_size": size}
    if stride is not None:
        arguments["embed_layer"] = partial(OverlappingPatches, stride=stride)
    elif stem != "patch":  # timm builds its own patch embedding, and its loader expects that one
        arguments["embed_layer"] = STEMS[stem]
    return arguments


def _positions(vit: VisionTransformer, kind: str, at: str) -> PositionEmbedding | None:
    if kind == "none":
        return None
    grid, depth = vit.patch_embed.grid_size, len(vit.blocks)
    placed = PositionEmbedding(kind, at, grid=grid, dimension=vit.embed_dim, depth=depth)
    first = placed.embeddings[0]
    if isinstance(first, PositionEmbedding1d) and vit.pos_embed is not None:
        first.pos_embed = vit.pos_embed  # resized by timm where weights were loaded
    return placed
