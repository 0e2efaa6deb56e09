"""The form of a network that runtimes compute fastest. What it embeds is what the trained network embeds.

What does not depend on the image is computed here, once. What the embedding does not need is left out: classifiers,
and in the last block all tokens but the class token where that is the feature.
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
    """What is written of a network: for transformers of plain blocks the fast form, others as they are.

    Raises ExportError for an opset for which attention is not written.
    """
    if opset not in ATTENTION:
        raise ExportError(f"graphs are not written in opset {opset}; take one of {', '.join(map(str, ATTENTION))}")
    fast = FAST_FORMS.get(type(model.backbone))
    return fast(model, ATTENTION[opset]) if fast and _has_plain_blocks(model.backbone) else EmbeddingGraph(model)


class FastTransformer(nn.Module):
    """uint8 (B, H, W, 3) images to unit embeddings (B, D): the numbers of EmbeddingGraph in fewer steps."""

    first: Tensor

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
        placed = [_placed(vit, block) for block in range(len(vit.blocks))]
        start = vit.cls_token if placed[0] is None else vit.cls_token + placed[0][:, :1]
        self.register_buffer("first", start.detach())
        self.register_buffer("place_0", None if placed[0] is None else placed[0][:, 1:])
        for block, place in enumerate(placed[1:], start=1):
            self.register_buffer(f"place_{block}", place)

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Embed a batch; cameras and views (B,) are indices, left out only where the network has none."""
        # Were the normalisation in the weights of the stem, in 16 bits it would round products of the mean instead.
        patches = self._at(self.stem(self.model.normalise(images)), 0)
        tokens = torch.cat([self.first.expand(patches.shape[0], -1, -1), patches], dim=1)
        if self.side is not None:
            tokens = tokens + self.side(camera, view)
        tokens = self.norm_pre(tokens)
        for number, block in enumerate(self.blocks, start=1):
            tokens = self._at(block(tokens), number)
        return self.model.concat_features(tuple(part for end in self.ends for part in end(tokens).unbind(1)))

    def _at(self, tokens: Tensor, block: int) -> Tensor:
        place: Tensor | None = getattr(self, f"place_{block}")
        return tokens if place is None else tokens + place


class _Pooled(nn.Module):
    """The last block where its patches are wanted: (B, L, D) tokens to one feature, (B, 1, D)."""

    def __init__(self, block: nn.Module, norm: nn.Module, pool: Callable[[Tensor], Tensor], attend: Attend) -> None:
        super().__init__()
        self.block, self.norm, self.pool = AllTokens(block, attend), norm, pool

    def forward(self, tokens: Tensor) -> Tensor:
        """One feature of all tokens."""
        return self.pool(self.norm(self.block(tokens)))[:, None]


class _Side(nn.Module):
    """The vectors (B, 1, D) of cameras and views (B,); one that the network does not tell apart is left out."""

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
    """What makes features (B, features, D) of the tokens before the last block."""
    everything = torch.ones(1, 1 + vit.grid[0] * vit.grid[1])
    if vit.pooling is pool_cls:
        ends: list[nn.Module] = [ClassTokens(vit.blocks[-1], vit.norm, everything)]
    else:
        ends = [_Pooled(vit.blocks[-1], vit.norm, vit.pooling, attend)]
    if vit.jpm is not None:
        counts = torch.stack(
            [torch.bincount(1 + part, minlength=everything.shape[1]) for part in vit.jpm.patch_indices]
        )
        counts[:, 0] = 1  # every part begins with the class token
        ends.append(ClassTokens(vit.jpm.block, vit.jpm.norm, counts.float()))
    return ends


def _placed(vit: TransReID, block: int) -> Tensor | None:
    """What the position embedding adds before a block, (1, 1 + N, D)."""
    place = None if vit.position is None else vit.position.before(block)
    return None if place is None else place.detach()


FAST_FORMS: dict[type[Backbone], Callable[[ReIDModel, Attend], FastTransformer]] = {TransReID: FastTransformer}
"""Fast forms by the class of the backbone."""


def _has_plain_blocks(backbone: Any) -> bool:
    return all(is_plain(block.attn) for block in backbone.blocks)
