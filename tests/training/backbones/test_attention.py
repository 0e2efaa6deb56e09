"""Relative positions against loops over pairs of patches."""

from __future__ import annotations

import pytest
import torch
from timm.layers.attention import Attention

from vitreid.training.backbones import fuse_attention
from vitreid.training.backbones.attention import RELATIVE, offset_index

GRID = (3, 2)


@pytest.fixture(params=[True, False], ids=["fused", "written out"])
def fused(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_offsets_by_hand() -> None:
    """Each offset (down, right) has one number, whichever two patches it lies between."""
    index = offset_index(GRID)
    seen: dict[tuple[int, int], int] = {}
    for i in range(6):
        for j in range(6):
            offset = (i // 2 - j // 2, i % 2 - j % 2)
            assert seen.setdefault(offset, int(index[i, j])) == int(index[i, j])
    assert sorted(seen.values()) == list(range(5 * 3))


@pytest.mark.parametrize("name", RELATIVE)
def test_attention_equals_slow_loops(name: str, fused: bool) -> None:
    torch.manual_seed(0)
    plain = Attention(8, num_heads=2, qkv_bias=True)
    attention = RELATIVE[name](plain, GRID).eval()
    fuse_attention(attention, fused)
    tokens = torch.randn(2, 7, 8)
    index = offset_index(GRID)
    query, key, value = attention.qkv(tokens).reshape(2, 7, 3, 2, 4).permute(2, 0, 3, 1, 4)
    mixed = torch.zeros(2, 7, 8)
    for b in range(2):
        for h in range(2):
            logits = torch.zeros(7, 7)
            for i in range(7):
                for j in range(7):
                    logits[i, j] = query[b, h, i] @ key[b, h, j] / 2
                    if i and j and name == "bias":
                        logits[i, j] += attention.relative_bias[index[i - 1, j - 1], h]
                    if i and j and name == "keys":
                        logits[i, j] += query[b, h, i] @ attention.relative_keys[index[i - 1, j - 1]] / 2
            mixed[b, :, 4 * h : 4 * h + 4] = logits.softmax(1) @ value[b, h]
    torch.testing.assert_close(attention(tokens), attention.proj(mixed))


@pytest.mark.parametrize("name", RELATIVE)
def test_gradients_reach_the_offsets(name: str, fused: bool) -> None:
    attention = RELATIVE[name](Attention(8, num_heads=2), GRID)
    fuse_attention(attention, fused)
    attention(torch.randn(2, 7, 8)).sum().backward()
    table = attention.relative_bias if name == "bias" else attention.relative_keys
    assert table.grad is not None
    assert table.grad.abs().sum() > 0


def test_attention_with_norms_inside_is_refused() -> None:
    with pytest.raises(ValueError, match="plain attention"):
        RELATIVE["bias"](Attention(8, num_heads=2, qk_norm=True, norm_layer=torch.nn.LayerNorm), GRID)
