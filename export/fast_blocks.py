"""A transformer's blocks in the order that runtimes compute fastest, with the same results as in training.

Products are on rows (B x L, D), which become one `Gemm` each, and queries, keys and values are projected apart, so that
attention needs no transposition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from vitreid.training.backbones.attention import Attend, by_head, relative_logits


class AllTokens(nn.Module):
    """A block that returns all tokens."""

    def __init__(self, block: Any, attend: Attend) -> None:
        super().__init__()
        self.block = block
        self.projections = nn.ModuleList(_apart(block.attn.qkv))
        self.heads: int = block.attn.num_heads
        self.attend = attend

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens (B, L, D)."""
        length, block = tokens.shape[1], self.block
        rows = tokens.flatten(0, 1)
        normed = block.norm1(rows)
        query, key, value = (each(normed).reshape(-1, length, each.out_features) for each in self.projections)
        # A bias that depends on no image is computed when the graph is loaded: its table is far smaller.
        bias = relative_logits(block.attn, by_head(query, self.heads))
        attended = self.attend(query, key, value, bias, self.heads)
        rows = rows + block.ls1(block.attn.proj(attended.flatten(0, 1)))
        rows = rows + block.ls2(block.mlp(block.norm2(rows)))
        mixed: Tensor = rows.reshape(tokens.shape)
        return mixed


class ClassTokens(nn.Module):
    """A block and the norm after it that return only the class token, of each of several sets of the tokens.

    One query an image is cheaper to take to the tokens than all tokens to their keys and values: its products with the
    keys are those of `key.weight.T @ query` with the tokens, where the keys' bias adds the same to all and so nothing
    to a softmax; and the mean of the values is the value of the mean. The class token has no relative position.

    `counts` (sets, L) are the numbers of times that each set holds each token: twice has twice the weight.
    """

    log_counts: Tensor
    apart: Tensor

    def __init__(self, block: Any, norm: nn.Module, counts: Tensor) -> None:
        super().__init__()
        self.block = block
        self.norm = norm
        self.query, self.key, self.value = _apart(block.attn.qkv)
        heads: int = block.attn.num_heads
        width: int = block.attn.head_dim
        self.scale = width**-0.5
        self.register_buffer("log_counts", counts.log()[:, None])
        self.register_buffer("apart", torch.eye(heads).repeat_interleave(width, dim=1))  # a row a head, 1 where it is

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens (B, L, D) to class tokens (B, sets, D)."""
        block, heads, sets = self.block, len(self.apart), len(self.log_counts)
        normed: Tensor = block.norm1(tokens)
        query = self.query(normed[:, 0]) * self.scale
        in_tokens = linear((query[:, None] * self.apart).flatten(0, 1), self.key.weight.T)
        logits = in_tokens.reshape(-1, heads, normed.shape[2]) @ normed.transpose(1, 2)
        weights = (logits[:, None] + self.log_counts).softmax(3)  # (B, sets, heads, L)
        means = weights.flatten(1, 2) @ normed
        values = self.value(means.flatten(0, 1)).reshape(-1, *self.apart.shape)
        mixed = block.ls1(block.attn.proj((values * self.apart).sum(1)))
        rows = (tokens[:, :1] + mixed.reshape(-1, sets, tokens.shape[2])).flatten(0, 1)
        rows = rows + block.ls2(block.mlp(block.norm2(rows)))
        features: Tensor = self.norm(rows).reshape(-1, sets, tokens.shape[2])
        return features


def _apart(together: nn.Linear) -> list[nn.Linear]:
    """Split the joint projection of queries, keys and values in three."""
    thirds = []
    for index in range(3):
        third = nn.Linear(together.in_features, together.out_features // 3, bias=together.bias is not None)
        third.weight = nn.Parameter(together.weight.detach().chunk(3)[index])
        if together.bias is not None:
            third.bias = nn.Parameter(together.bias.detach().chunk(3)[index])
        thirds.append(third)
    return thirds
