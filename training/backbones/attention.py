"""Self-attention: its weights, relative positions in its logits, and the forms in which it is exported.

Relative positions have two forms: a learned number for each head and offset, added to the logits (Liu et al., "Swin
Transformer", ICCV 2021, equation 4), or a learned vector for each offset, added to the keys (Shaw et al.,
"Self-Attention with Relative Position Representations", NAACL 2018, equation 4). The class token has no position, so
its row and column get nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import NoneType

import torch
from timm.layers.attention import Attention
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

STD = 0.02


def softmax_weights(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    """Return softmax(q k' / sqrt(d) + bias), (B, heads, L, L), of queries and keys (B, heads, L, d)."""
    logits = query * query.shape[3] ** -0.5 @ key.transpose(2, 3)
    weights: Tensor = (logits if bias is None else logits + bias).softmax(3)
    return weights


def project(attention: Attention, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the queries, keys and values (B, heads, L, d) of normed tokens (B, L, D)."""
    batch, length, _ = tokens.shape
    shape = (batch, length, 3, attention.num_heads, attention.head_dim)
    query, key, value = attention.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
    return attention.q_norm(query), attention.k_norm(key), value


def attention_weights(attention: Attention, tokens: Tensor) -> Tensor:
    """Return how much each of the normed tokens (B, L, D) attends to the others: (B, heads, L, L), rows of sum 1."""
    query, key, _ = project(attention, tokens)
    return softmax_weights(query, key, relative_logits(attention, query))


def fuse_attention(model: nn.Module, fused: bool) -> None:
    """Choose torch's fused attention, or softmax(q k') v written out; both compute the same values.

    The fused kernel's backward pass is slow on a CPU: ViT-Ti at 256x128 trains 1.5 times as fast without it.
    """
    for module in model.modules():
        if isinstance(module, Attention):
            module.fused_attn = fused  # type: ignore[misc]  # final for TorchScript only


def is_plain(attention: nn.Module) -> bool:
    """Return whether attention is only products and a softmax, without norms or gates inside."""
    inside = ("q_norm", "k_norm", "norm", "gate")
    return type(attention) in (Attention, *RELATIVE.values()) and all(
        isinstance(getattr(attention, name), nn.Identity | NoneType) for name in inside
    )


# Relative positions


def offset_index(grid: tuple[int, int]) -> Tensor:
    """Return the number of the offset between two of the N patches of a `grid` (rows, columns): (N, N), from 0.

    For patches i and j it is (row_i - row_j + rows - 1) x (2 columns - 1) + column_i - column_j + columns - 1.
    """
    rows, columns = (each.flatten() for each in torch.meshgrid(*map(torch.arange, grid), indexing="ij"))
    down = rows[:, None] - rows[None] + grid[0] - 1
    right = columns[:, None] - columns[None] + grid[1] - 1
    return down * (2 * grid[1] - 1) + right


class RelativeAttention(Attention, ABC):
    """timm's attention with relative positions in its logits; takes over the modules of an `attention` of timm.

    `index` (sets, L, L) holds the offsets between patches: of all patches (1, N, N), or of several sets of them if the
    batch holds the sets of an image one after the other. Raises ValueError if norms or gates are inside.
    """

    index: Tensor

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        nn.Module.__init__(self)
        if not is_plain(attention):
            raise ValueError("relative positions need plain attention, without norms or gates inside")
        self.__dict__.update(attention.__dict__)
        self.register_buffer("index", offset_index(grid)[None], persistent=False)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Attend on (B x sets, 1 + L, D); timm's arguments for masks are not supported."""
        assert attn_mask is None
        assert not is_causal
        query, key, value = project(self, x)  # (B x sets, heads, 1 + L, d)
        bias = self.logits(query)  # (B x sets or 1, heads, 1 + L, 1 + L)
        if self.fused_attn:
            drop = self.attn_drop.p if self.training else 0.0
            mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=drop)
        else:
            mixed = self.attn_drop(softmax_weights(query, key, bias)) @ value
        output: Tensor = self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))  # (B x sets, 1 + L, D)
        return output

    def logits(self, query: Tensor) -> Tensor:
        """Return what is added to the logits of queries (B x sets, heads, 1 + L, d); 0 for the class token."""
        return pad(self.patch_logits(query[:, :, 1:]), (1, 0, 1, 0))

    @abstractmethod
    def patch_logits(self, query: Tensor) -> Tensor:
        """Return what is added to the logits (B x sets or 1, heads, L, L) of the patches' queries."""


class BiasAttention(RelativeAttention):
    """A number for each offset and head."""

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        super().__init__(attention, grid)
        self.relative_bias = nn.Parameter(torch.empty((2 * grid[0] - 1) * (2 * grid[1] - 1), self.num_heads))
        nn.init.trunc_normal_(self.relative_bias, std=STD)

    def patch_logits(self, query: Tensor) -> Tensor:
        """Return the numbers of the offsets."""
        bias, sets = self.bias(), len(self.index)
        return bias.repeat(query.shape[0] // sets, 1, 1, 1) if sets > 1 else bias

    def bias(self) -> Tensor:
        """Return the numbers of all offsets (sets, heads, L, L)."""
        return self.relative_bias[self.index].permute(0, 3, 1, 2)


class KeyAttention(RelativeAttention):
    """A vector for each offset, shared by the heads: query . (key + vector) / sqrt(d)."""

    def __init__(self, attention: Attention, grid: tuple[int, int]) -> None:
        super().__init__(attention, grid)
        self.relative_keys = nn.Parameter(torch.empty((2 * grid[0] - 1) * (2 * grid[1] - 1), self.head_dim))
        nn.init.trunc_normal_(self.relative_keys, std=STD)

    def patch_logits(self, query: Tensor) -> Tensor:
        """Return the queries' products with the vectors of the offsets."""
        vectors = self.relative_keys[self.index]  # (sets, L, L, d)
        # Each patch's row of vectors meets the queries of that patch in all images and heads: one batched product.
        grouped = query.reshape(-1, len(self.index), *query.shape[1:])  # (B, sets, heads, L, d)
        products: Tensor = torch.einsum("bphid,pijd->bphij", grouped, vectors)
        scaled: Tensor = products.flatten(0, 1) * self.head_dim**-0.5
        return scaled


RELATIVE: dict[str, Callable[[Attention, tuple[int, int]], RelativeAttention]] = {
    "bias": BiasAttention,
    "keys": KeyAttention,
}
"""The forms of relative position, by name."""


def relative_logits(attention: nn.Module, query: Tensor) -> Tensor | None:
    """Return what relative positions add to the logits of queries (B, heads, L, d); None without them."""
    return attention.logits(query) if isinstance(attention, RelativeAttention) else None


def relative_bias(attention: nn.Module) -> list[Tensor]:
    """Return the relative position bias between all patches (heads, N, N), if attention has one."""
    return list(attention.bias()) if isinstance(attention, BiasAttention) else []


def select_patches(attention: nn.Module, patch_indices: Tensor) -> None:
    """Set the patches on which attention works: `patch_indices` (sets, L), the sets of an image in a row."""
    if isinstance(attention, RelativeAttention):
        attention.index = attention.index[0][patch_indices[:, :, None], patch_indices[:, None]]


# Export

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, int], Tensor]
"""Queries, keys and values (B, L, heads x d), what is added to the logits, number of heads -> (B, L, heads x d).

What is added is (B or 1, heads, L, L), or None.
"""


def as_one_operator(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Attend by ONNX's `Attention`."""
    return torch.onnx.ops.attention(query, key, value, bias, q_num_heads=heads, kv_num_heads=heads)[0]


def written_out(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Attend by products and a softmax."""
    query, key, value = (by_head(each, heads) for each in (query, key, value))
    mixed: Tensor = softmax_weights(query, key, bias) @ value
    return mixed.transpose(1, 2).flatten(2)


def by_head(rows: Tensor, heads: int) -> Tensor:
    """(B, L, heads x d) to (B, heads, L, d)."""
    return rows.reshape(-1, rows.shape[1], heads, rows.shape[2] // heads).transpose(1, 2)


ATTENTION: dict[int, Attend] = {18: written_out, 23: as_one_operator}
"""How attention is written, by opset: `Attention` came with opset 23; runtimes without it take that of opset 18."""
