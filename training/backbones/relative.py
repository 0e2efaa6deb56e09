"""Attention that knows how far apart two patches lie.

Two forms: a learned number for each head and offset, added to the attention's logits (Liu et al., "Swin Transformer",
ICCV 2021, equation 4), or a learned vector for each offset, added to the keys (Shaw et al., "Self-Attention with
Relative Position Representations", NAACL 2018, equation 4). The class token has no place: its row and column get none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from timm.layers.attention import Attention
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

STD = 0.02


def offset_index(grid: tuple[int, int]) -> Tensor:
    """(N, N) number of the offset between two of the N patches of a `grid` (rows, columns), from 0.

    Of patch i against patch j it is (row_i - row_j + rows - 1) x (2 columns - 1) + column_i - column_j + columns - 1.
    """
    rows, columns = (each.flatten() for each in torch.meshgrid(*map(torch.arange, grid), indexing="ij"))
    down = rows[:, None] - rows[None] + grid[0] - 1
    right = columns[:, None] - columns[None] + grid[1] - 1
    return down * (2 * grid[1] - 1) + right


class RelativeAttention(nn.Module, ABC):
    """timm's attention with something added to its logits between patches; takes over its weights.

    Raises ValueError for an attention with norms or gates inside.
    """

    index: Tensor

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        super().__init__()
        if attention.gate is not None or not all(
            isinstance(each, nn.Identity) for each in (attention.q_norm, attention.k_norm, attention.norm)
        ):
            raise ValueError("relative positions need plain attention, without norms or gates inside")
        self.num_heads, self.head_dim = attention.num_heads, attention.head_dim
        self.fused_attn = attention.fused_attn
        self.qkv, self.proj = attention.qkv, attention.proj
        self.attn_drop, self.proj_drop = attention.attn_drop, attention.proj_drop
        self.register_buffer("index", offset_index(grid), persistent=False)

    def forward(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """Attend on (B, 1 + N, D), or (B x parts, 1 + L, D) with `places` (parts, L)."""
        batch, length, _ = tokens.shape
        shape = (batch, length, 3, self.num_heads, self.head_dim)
        query, key, value = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        bias = self.between_tokens(query, places)
        if self.fused_attn:
            drop = self.attn_drop.p if self.training else 0.0
            seen = scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=drop)
        else:
            logits = query * self.head_dim**-0.5 @ key.transpose(-2, -1) + bias
            seen = self.attn_drop(logits.softmax(-1)) @ value
        mixed: Tensor = self.proj_drop(self.proj(seen.transpose(1, 2).reshape(batch, length, -1)))
        return mixed

    def between_tokens(self, query: Tensor, places: Tensor | None = None) -> Tensor:
        """What is added to the logits of all tokens, 0 for the class token.

        From their queries (B x parts, heads, 1 + L, d); `places` (parts, L) as in `forward`.
        """
        index = self.index[None] if places is None else self.index[places[:, :, None], places[:, None]]
        return pad(self.between_patches(query[:, :, 1:], index), (1, 0, 1, 0))

    @abstractmethod
    def between_patches(self, query: Tensor, index: Tensor) -> Tensor:
        """What is added to the logits (B x parts, heads, L, L).

        From the patches' queries (B x parts, heads, L, d) and the offsets (parts, L, L).
        """


class BiasAttention(RelativeAttention):
    """A number for each offset and head."""

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        super().__init__(attention, grid)
        self.relative_bias = nn.Parameter(torch.empty((2 * grid[0] - 1) * (2 * grid[1] - 1), self.num_heads))
        nn.init.trunc_normal_(self.relative_bias, std=STD)

    def between_patches(self, query: Tensor, index: Tensor) -> Tensor:
        """The numbers of the offsets."""
        bias = self.relative_bias[index].permute(0, 3, 1, 2)
        return bias.repeat(query.shape[0] // len(index), 1, 1, 1) if len(index) > 1 else bias

    def bias(self) -> Tensor:
        """The bias between all patches (heads, N, N)."""
        return self.relative_bias[self.index].permute(2, 0, 1)


class KeyAttention(RelativeAttention):
    """A vector for each offset, shared by the heads: query . (key + vector), scaled as ever."""

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        super().__init__(attention, grid)
        self.relative_keys = nn.Parameter(torch.empty((2 * grid[0] - 1) * (2 * grid[1] - 1), self.head_dim))
        nn.init.trunc_normal_(self.relative_keys, std=STD)

    def between_patches(self, query: Tensor, index: Tensor) -> Tensor:
        """The queries' products with the vectors of the offsets."""
        vectors = self.relative_keys[index]  # (parts, L, L, d)
        # Each patch's row of vectors meets the queries of that patch in all images and heads: one batched product.
        grouped = query.reshape(-1, len(index), *query.shape[1:])  # (B, parts, heads, L, d)
        products: Tensor = torch.einsum("bphid,pijd->bphij", grouped, vectors)
        scaled: Tensor = products.flatten(0, 1) * self.head_dim**-0.5
        return scaled


RELATIVE: dict[str, Callable[[Attention, tuple[int, int]], RelativeAttention]] = {
    "bias": BiasAttention,
    "keys": KeyAttention,
}
"""The forms of relative position, by name."""
