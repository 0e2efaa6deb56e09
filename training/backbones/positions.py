"""Where a token lies, as a vector that is added to it.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, table 8: no position, one vector a place (1-D), or one
for the row and one for the column, concatenated (2-D); added once at the stem, or before every block.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

STD = 0.02


class PositionEmbedding1d(nn.Module):
    """1-D: a vector (D,) for each of the N patches and one for the class token."""

    def __init__(self, grid: tuple[int, int], dimension: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid[0] * grid[1], dimension))
        nn.init.trunc_normal_(self.pos_embed, std=STD)

    def forward(self) -> Tensor:
        """(1, 1 + N, D), the class token first, patches by rows."""
        return self.pos_embed


class RowsAndColumns(nn.Module):
    """2-D: half of the vector tells the row, the other half the column; the class token has one of its own."""

    def __init__(self, grid: tuple[int, int], dimension: int) -> None:
        super().__init__()
        height, width = grid
        self.cls_pos_embed = nn.Parameter(torch.empty(1, 1, dimension))
        self.row_pos_embed = nn.Parameter(torch.empty(height, 1, dimension // 2))
        self.column_pos_embed = nn.Parameter(torch.empty(1, width, dimension - dimension // 2))
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=STD)

    def forward(self) -> Tensor:
        """(1, 1 + N, D), the class token first, patches by rows."""
        height, width = len(self.row_pos_embed), self.column_pos_embed.shape[1]
        rows, columns = self.row_pos_embed.expand(-1, width, -1), self.column_pos_embed.expand(height, -1, -1)
        return torch.cat([self.cls_pos_embed, torch.cat([rows, columns], dim=2).flatten(0, 1)[None]], dim=1)


KINDS: dict[str, Callable[[tuple[int, int], int], nn.Module]] = {"1d": PositionEmbedding1d, "2d": RowsAndColumns}
"""What tells a place."""

LAYERS: dict[str, Callable[[int], tuple[int, ...]]] = {
    "stem": lambda depth: (0,),
    "every": lambda depth: tuple(range(depth)),
    "shared": lambda depth: (0,) * depth,
}
"""Which of the position embeddings is added before each block, from the first one on."""


class PositionEmbedding(nn.Module):
    """Position embeddings of a `grid` (rows, columns) of patches for a transformer of `depth` blocks.

    `kind` is a name of KINDS, `at` one of LAYERS. Raises KeyError for other names: a recipe has checked them.
    """

    def __init__(self, kind: str, at: str, *, grid: tuple[int, int], dimension: int, depth: int) -> None:
        super().__init__()
        self._layers = LAYERS[at](depth)
        self.embeddings = nn.ModuleList(KINDS[kind](grid, dimension) for _ in range(max(self._layers) + 1))

    def before(self, block: int) -> Tensor | None:
        """What is added to (B, 1 + N, D) tokens before this block, (1, 1 + N, D), or None."""
        if block >= len(self._layers):
            return None
        embedding: Tensor = self.embeddings[self._layers[block]]()
        return embedding

    def patches(self) -> Tensor:
        """The first position embedding of the patches (N, D)."""
        embedding: Tensor = self.embeddings[0]()
        return embedding[0, 1:]
