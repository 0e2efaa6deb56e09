"""The form of a network that runtimes compute fastest, with the same embeddings.

Values that do not depend on the image are computed once, here. Classifiers are left out, and in the last block all
tokens but the class token if that is the feature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from vitreid.export.errors import ExportError
from vitreid.export.fast_blocks import AllTokens, ClassTokens
from vitreid.export.graph import EmbeddingGraph, inputs_of
from vitreid.training.backbones import Backbone, TransReID
from vitreid.training.backbones.attention import ATTENTION, Attend, is_plain
from vitreid.training.backbones.transreid import SIE, or_unknown, pool_cls
from vitreid.training.model import ReIDModel


def fast_form(model: ReIDModel, opset: int) -> EmbeddingGraph | FastTransformer:
    """Return the module to export: the fast form of transformers with plain blocks, other networks as they are.

    Raises ExportError for an opset without a form of attention.
    """
    if opset not in ATTENTION:
        raise ExportError(f"opset {opset} is not supported; take one of {', '.join(map(str, ATTENTION))}")
    fast = FAST_FORMS.get(type(model.backbone))
    return fast(model, ATTENTION[opset]) if fast and _has_plain_blocks(model.backbone) else EmbeddingGraph(model)


class FastTransformer(nn.Module):
    """uint8 (B, H, W, 3) images to unit embeddings (B, D): the numbers of EmbeddingGraph in fewer steps."""

    cls: Tensor

    def __init__(self, model: ReIDModel, attend: Attend) -> None:
        super().__init__()
        vit: Any = model.eval().backbone
        self.model = model
        self.inputs = inputs_of(model)
        self.stem = vit.patch_embed
        self.side = None if vit.sie is None else _Side(vit.sie)
        self.norm_pre = vit.norm_pre
        self.blocks = nn.ModuleList(AllTokens(block, attend) for block in vit.blocks[:-1])
        self.ends = nn.ModuleList(_ends(vit, attend))
        positions = [_position(vit, block) for block in range(len(vit.blocks))]
        start = vit.cls_token if positions[0] is None else vit.cls_token + positions[0][:, :1]
        self.register_buffer("cls", start.detach())
        self.register_buffer("position_0", None if positions[0] is None else positions[0][:, 1:])
        for block, position in enumerate(positions[1:], start=1):
            self.register_buffer(f"position_{block}", position)

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Embed a batch; cameras and views (B,) are indices, None only if the network has none."""
        # Were the normalisation in the weights of the stem, in 16 bits it would round products of the mean instead.
        patches = self._add_position(self.stem(self.model.normalise(images)), 0)
        tokens = torch.cat([self.cls.expand(patches.shape[0], -1, -1), patches], dim=1)
        if self.side is not None:
            tokens = tokens + self.side(camera, view)
        tokens = self.norm_pre(tokens)
        for number, block in enumerate(self.blocks, start=1):
            tokens = self._add_position(block(tokens), number)
        return self.model.concat_features(tuple(part for end in self.ends for part in end(tokens).unbind(1)))

    def _add_position(self, tokens: Tensor, block: int) -> Tensor:
        position: Tensor | None = getattr(self, f"position_{block}")
        return tokens if position is None else tokens + position


class _Pooled(nn.Module):
    """The last block if its patches are pooled: (B, L, D) tokens to one feature, (B, 1, D)."""

    def __init__(self, block: nn.Module, norm: nn.Module, pool: Callable[[Tensor], Tensor], attend: Attend) -> None:
        super().__init__()
        self.block, self.norm, self.pool = AllTokens(block, attend), norm, pool

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one feature of all tokens."""
        return self.pool(self.norm(self.block(tokens)))[:, None]


class _Side(nn.Module):
    """The vectors (B, 1, D) of cameras and views (B,), of which one may be left out."""

    table: Tensor

    def __init__(self, side: SIE) -> None:
        super().__init__()
        self.cameras, self.views, _ = side.sie_embed.shape
        self.register_buffer("table", side.table().detach().flatten(0, 1))

    def forward(self, camera: Tensor | None, view: Tensor | None) -> Tensor:
        indices = ((camera, self.cameras, self.views + 1), (view, self.views, 1))
        rows = [or_unknown(index, count) * step for index, count, step in indices if index is not None]
        return embedding(sum(rows[1:], rows[0]), self.table)[:, None]


def _ends(vit: Any, attend: Attend) -> list[nn.Module]:
    """Return modules from the tokens before the last block to features (B, features, D)."""
    all_tokens = torch.ones(1, 1 + vit.grid[0] * vit.grid[1])
    if vit.pooling is pool_cls:
        ends: list[nn.Module] = [ClassTokens(vit.blocks[-1], vit.norm, all_tokens)]
    else:
        ends = [_Pooled(vit.blocks[-1], vit.norm, vit.pooling, attend)]
    if vit.jpm is not None:
        counts = torch.stack(
            [torch.bincount(1 + part, minlength=all_tokens.shape[1]) for part in vit.jpm.patch_indices]
        )
        counts[:, 0] = 1  # every part has the class token
        ends.append(ClassTokens(vit.jpm.block, vit.jpm.norm, counts.float()))
    return ends


def _position(vit: TransReID, block: int) -> Tensor | None:
    """Return what the position embedding adds before a block, (1, 1 + N, D)."""
    embedding = None if vit.position is None else vit.position.before(block)
    return None if embedding is None else embedding.detach()


FAST_FORMS: dict[type[Backbone], Callable[[ReIDModel, Attend], FastTransformer]] = {TransReID: FastTransformer}
"""Fast forms by the class of the backbone."""


def _has_plain_blocks(backbone: Any) -> bool:
    return all(is_plain(block.attn) for block in backbone.blocks)
