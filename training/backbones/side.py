"""Side information embedding: which camera took the image, and from which view.

He et al., "TransReID: Transformer-based Object Re-Identification", ICCV 2021, section 3.4: a learned vector of camera
and view is added to every token, the class token's included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SIE(nn.Module):
    """Vectors for `cameras` x `views`; 0 of either means that it is not told apart.

    An index outside of those learned, such as -1, is an unknown camera (view): the mean of the learned vectors.
    """

    def __init__(self, cameras: int, views: int, dimension: int, *, scale: float = 3.0) -> None:
        super().__init__()
        self.scale = scale
        self.sie_embed = nn.Parameter(torch.empty(max(cameras, 1), max(views, 1), dimension))
        nn.init.trunc_normal_(self.sie_embed, std=0.02)

    def forward(self, camera: Tensor, view: Tensor) -> Tensor:
        """Vectors (B, 1, D) of the cameras (B,) and views (B,), scaled, to be added to all tokens."""
        cameras, views, _ = self.sie_embed.shape
        return self.table()[or_unknown(camera, cameras), or_unknown(view, views)][:, None]

    def table(self) -> Tensor:
        """All vectors, scaled: (cameras + 1, views + 1, D), the last of each being the unknown one."""
        known = torch.cat([self.sie_embed, self.sie_embed.mean(0, keepdim=True)])
        return self.scale * torch.cat([known, known.mean(1, keepdim=True)], dim=1)


def or_unknown(index: Tensor, count: int) -> Tensor:
    """What was learned by its index, 0 to `count` - 1; `count` for all others."""
    return torch.where((index < 0) | (index >= count), count, index)
