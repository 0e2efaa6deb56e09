"""Weights that depend on positions and offsets, for another grid of patches."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from vitreid.training.pretrained.pos_embed import resized

OLD, NEW = (3, 5), (4, 2)


def test_only_what_belongs_to_places_changes() -> None:
    tensors = {"a.pos_embed": torch.randn(1, 16, 2), "a.weight": torch.randn(16, 2)}
    assert resized(tensors, OLD, OLD) == tensors
    found = resized(tensors, OLD, NEW)
    assert found["a.weight"] is tensors["a.weight"]
    torch.testing.assert_close(found["a.pos_embed"][:, 0], tensors["a.pos_embed"][:, 0])
    grid = tensors["a.pos_embed"][:, 1:].reshape(1, *OLD, 2).permute(0, 3, 1, 2)
    expected = interpolate(grid, NEW, mode="bilinear").permute(0, 2, 3, 1).reshape(1, 8, 2)
    torch.testing.assert_close(found["a.pos_embed"][:, 1:], expected)


@pytest.mark.parametrize(("name", "shape"), [("row_pos_embed", (3, 1, 2)), ("column_pos_embed", (1, 5, 2))])
def test_rows_and_columns(name: str, shape: tuple[int, int, int]) -> None:
    old = torch.arange(shape[0] * shape[1], dtype=torch.float).reshape(*shape[:2], 1).expand(shape)
    found = resized({name: old}, OLD, NEW)[name].flatten(0, 1)
    length, wanted = (3, NEW[0]) if "row" in name else (5, NEW[1])
    # On a ramp, interpolation between the middles of cells gives the middles' places.
    places = [min(max((i + 0.5) * length / wanted - 0.5, 0), length - 1) for i in range(wanted)]
    torch.testing.assert_close(found, torch.tensor(places)[:, None].expand(-1, 2))


@pytest.mark.parametrize("name", ["relative_bias", "relative_keys"])
def test_offsets(name: str) -> None:
    """A bias that grows evenly with the offset still does, and no offset stays in the middle."""
    down = torch.arange(-2.0, 3).repeat_interleave(9)[:, None].expand(-1, 3)
    found = resized({f"block.{name}": down}, OLD, NEW)[f"block.{name}"].reshape(7, 3, 3)
    assert (found.diff(dim=0) > 0).all()
    torch.testing.assert_close(found, -found.flip(0))
    torch.testing.assert_close(found, found[:, :1].expand_as(found))
    assert resized({"x.relative_bias": down.half()}, OLD, NEW)["x.relative_bias"].dtype == torch.half
