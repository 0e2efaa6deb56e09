"""One block of a timm transformer, run on all tokens or on parts of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vitreid.training.backbones.relative import RelativeAttention


def run_block(block: nn.Module, tokens: Tensor, places: Tensor | None = None) -> Tensor:
    """Attention and MLP with their residuals on (B, 1 + N, D) tokens, the class token first.

    `places` (parts, L) tells which patches the tokens are where they are not all of them: then the tokens are
    (B x parts, 1 + L, D), the parts of one image next to each other. Only relative positions need to know.
    """
    parts: Any = block
    attention = parts.attn
    normed = parts.norm1(tokens)
    seen = attention(normed, places=places) if isinstance(attention, RelativeAttention) else attention(normed)
    tokens = tokens + parts.drop_path1(parts.ls1(seen))
    mixed: Tensor = tokens + parts.drop_path2(parts.ls2(parts.mlp(parts.norm2(tokens))))
    return mixed
