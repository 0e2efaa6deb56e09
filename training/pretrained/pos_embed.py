"""Position embeddings and relative biases, resized to another grid of patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Grid = tuple[int, int]


def resized(tensors: Mapping[str, Tensor], old: Grid, new: Grid) -> dict[str, Tensor]:
    """Return the tensors of a network with the `old` grid (rows, columns) of patches, fitted to the `new` grid.

    Positions are interpolated between patches and that of the class token stays, as TransReID does it; values of
    offsets are interpolated between offsets.
    """
    if old == new:
        return dict(tensors)
    kinds = {name: name.rpartition(".")[2] for name in tensors}
    return {
        name: RESIZERS[kinds[name]](tensor, old, new) if kinds[name] in RESIZERS else tensor
        for name, tensor in tensors.items()
    }


def _positions(positions: Tensor, old: Grid, new: Grid) -> Tensor:
    """Resize (1, 1 + N, D), class token first."""
    patches = _interpolate(positions[0, 1:].reshape(*old, -1), new)
    return torch.cat([positions[:, :1], patches.flatten(0, 1)[None]], dim=1)


def _offsets(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """Resize a table of one row per offset, (2 rows - 1) x (2 columns - 1) of them."""
    (rows, columns), wanted = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (old, new))
    return _interpolate(table.reshape(rows, columns, -1), wanted).flatten(0, 1)


def _interpolate(table: Tensor, size: Grid) -> Tensor:
    """Resize a table (rows, columns, D)."""
    maps = table.float().permute(2, 0, 1)[None]
    moved = interpolate(maps, size, mode="bilinear", align_corners=False)
    return moved[0].permute(1, 2, 0).to(table.dtype)


RESIZERS: dict[str, Callable[[Tensor, Grid, Grid], Tensor]] = {
    "pos_embed": _positions,
    "row_pos_embed": lambda rows, _, new: _interpolate(rows, (new[0], 1)),
    "column_pos_embed": lambda columns, _, new: _interpolate(columns, (1, new[1])),
    "relative_bias": _offsets,
    "relative_keys": _offsets,
}
"""Functions that resize, by the last part of a name."""
