"""The shuffle of patches: by hand, and as in the published module."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from vitreid.training.backbones import build_vit
from vitreid.training.backbones.transreid import jpm_indices
from vitreid.training.config import JPMConfig

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}


def test_by_hand() -> None:
    """Eight patches: rolled by one 1 2 3 4 5 6 7 0, the halves interleaved 1 5 2 6 3 7 4 0, in parts of two."""
    assert jpm_indices(8, roll=1, groups=2, parts=4).tolist() == [[1, 5], [2, 6], [3, 7], [4, 0]]


def test_the_published_order() -> None:
    """128 patches: 4, 68, 5, 69, ... counted from 0."""
    found = jpm_indices(128)
    assert found.shape == (4, 32)
    assert found[0, :4].tolist() == [4, 68, 5, 69]
    assert sorted(found.flatten().tolist()) == list(range(128))


def test_an_odd_number_is_filled_with_the_last_but_one() -> None:
    """Seven patches rolled by one: 1 2 3 4 5 6 0 and again 6; interleaved 1 5 2 6 3 0 4 6, cut by 7 // 3 = 2."""
    assert jpm_indices(7, roll=1, groups=2, parts=3).tolist() == [[1, 5], [2, 6], [3, 0]]


@pytest.mark.parametrize("patches", [189, 210, 243])
def test_a_tail_that_fills_no_part_is_dropped(patches: int) -> None:
    assert jpm_indices(patches).shape == (4, patches // 4)


@pytest.mark.parametrize("values", [{"roll": 8}, {"groups": 0}, {"parts": 9}])
def test_what_does_not_fit(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="do not fit 8 patches"):
        jpm_indices(8, **({"roll": 1} | values))


@pytest.mark.parametrize("relative", [None, "bias", "keys"])
def test_parts_equal_a_pass_of_their_own(relative: str | None) -> None:
    """All parts in one batch give what each gives alone, through the same copy of the last block."""
    torch.manual_seed(0)
    options = JPMConfig(roll=1, groups=2, parts=2)
    vit = build_vit("vit_tiny_patch16_224", size=(64, 32), options=SMALL, relative=relative, jpm=options).eval()
    assert vit.jpm is not None
    tokens = torch.randn(3, 9, 24)
    together = vit.jpm(tokens)
    for part in range(2):
        one = deepcopy(vit.jpm)
        one.patch_indices = one.patch_indices[part : part + 1]
        if relative is not None:
            one.block.attn.index = one.block.attn.index[part : part + 1]
        [alone] = one(tokens)
        torch.testing.assert_close(together[part], alone)
