"""Weights that belong to places, for another grid of patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Grid = tuple[int, int]


def resized(tensors: Mapping[str, Tensor], old: Grid, new: Grid) -> dict[str, Tensor]:
    """The tensors of a network whose patches form the grid `old` (rows, columns), for one where they form `new`.

    Positions are interpolated between the patches' places and the class token's is kept, as TransReID does it; what
    belongs to offsets is interpolated between offsets.
    """
    if old == new:
        return dict(tensors)
    kinds = {name: name.rpartition(".")[2] for name in tensors}
    return {
        name: BY_PLACE[kinds[name]](tensor, old, new) if kinds[name] in BY_PLACE else tensor
        for name, tensor in tensors.items()
    }


def _places(places: Tensor, old: Grid, new: Grid) -> Tensor:
    """(1, 1 + N, D), the class token first."""
    patches = _between(places[0, 1:].reshape(*old, -1), new)
    return torch.cat([places[:, :1], patches.flatten(0, 1)[None]], dim=1)


def _offsets(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """A row for each offset, of (2 rows - 1) x (2 columns - 1)."""
    (rows, columns), wanted = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (old, new))
    return _between(table.reshape(rows, columns, -1), wanted).flatten(0, 1)


def _between(table: Tensor, size: Grid) -> Tensor:
    """A table (rows, columns, D) of another size."""
    maps = table.float().permute(2, 0, 1)[None]
    moved = interpolate(maps, size, mode="bilinear", align_corners=False)
    return moved[0].permute(1, 2, 0).to(table.dtype)


BY_PLACE: dict[str, Callable[[Tensor, Grid, Grid], Tensor]] = {
    "pos_embed": _places,
    "row_pos_embed": lambda rows, _, new: _between(rows, (new[0], 1)),
    "column_pos_embed": lambda columns, _, new: _between(columns, (1, new[1])),
    "relative_bias": _offsets,
    "relative_keys": _offsets,
}
"""By the last part of a name."""
