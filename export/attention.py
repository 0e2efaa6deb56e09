"""Ways to write attention into a graph, by the opset that has what they need.

`Attention` came with opset 23. Runtimes that do not know it take the products and the softmax of opset 18.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, int], Tensor]
"""Query, key and value (B, L, heads x d), what is added to the logits, for so many heads: the same shape again.

What is added is (B or 1, heads, L, L), or nothing.
"""


def as_one_operator(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """ONNX's `Attention`."""
    return torch.onnx.ops.attention(query, key, value, bias, q_num_heads=heads, kv_num_heads=heads)[0]


def written_out(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Products and a softmax."""
    query, key, value = (by_head(each, heads) for each in (query, key, value))
    logits = query * query.shape[3] ** -0.5 @ key.transpose(2, 3)
    looks = (logits if bias is None else logits + bias).softmax(3)
    seen: Tensor = looks @ value
    return seen.transpose(1, 2).flatten(2)


def by_head(rows: Tensor, heads: int) -> Tensor:
    """(B, L, heads x d) to (B, heads, L, d)."""
    return rows.reshape(-1, rows.shape[1], heads, rows.shape[2] // heads).transpose(1, 2)


ATTENTION: dict[int, Attend] = {18: written_out, 23: as_one_operator}
"""How attention is written, by opset."""
