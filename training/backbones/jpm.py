"""The jigsaw patch module: the last block also looks at parts of the patches, each part spread over the image.

He et al., "TransReID", ICCV 2021, section 3.3: patches are shifted, shuffled in groups and cut into parts; every part,
with the class token before it, goes through one more copy of the last block and gives a local feature.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from vitreid.training.backbones.blocks import run_block


def jpm_indices(patches: int, *, roll: int = 4, groups: int = 2, parts: int = 4) -> Tensor:
    """Which patch stands where: (parts, patches // parts) indices into the patches.

    The sequence is rolled to the left by `roll` tokens, cut into `groups` that are then interleaved, and cut into
    `parts`; what does not fill a part is dropped. A length that `groups` does not divide is filled up with its
    last token but one, as the published code does for two groups. (The paper's "shift 5" rolls by 4 in that code.)

    Raises ValueError where a part would be empty or a roll longer than the sequence.
    """
    if not 0 <= roll < patches or not 1 <= groups <= patches or not 1 <= parts <= patches:
        raise ValueError(f"roll {roll}, groups {groups} and parts {parts} do not fit {patches} patches")
    order = torch.arange(patches).roll(-roll)
    order = torch.cat([order, order[-2:-1].expand(-patches % groups)])
    shuffled = order.view(groups, -1).T.flatten()
    length = patches // parts
    return shuffled[: parts * length].view(parts, length)


class JPM(nn.Module):
    """Local features by a copy of the last `block` and of the final `norm`, shared by all parts."""

    places: Tensor

    def __init__(self, block: nn.Module, norm: nn.Module, *, patches: int, roll: int, groups: int, parts: int) -> None:
        super().__init__()
        self.block, self.norm = deepcopy(block), deepcopy(norm)
        self.register_buffer("places", jpm_indices(patches, roll=roll, groups=groups, parts=parts), persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """One (B, D) a part, from the tokens (B, 1 + N, D) that go into the last block."""
        parts, length = self.places.shape
        width = tokens.shape[2]
        local = tokens[:, 1:][:, self.places.flatten()].reshape(-1, parts, length, width)
        cls = tokens[:, None, :1].expand(-1, parts, -1, -1)
        pieces = torch.cat([cls, local], dim=2).flatten(0, 1)
        seen: Tensor = self.norm(run_block(self.block, pieces, self.places))[:, 0]
        return tuple(seen.reshape(-1, parts, width).unbind(1))
