"""A stem of convolutions in the place of the patch embedding.

Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021: 3x3 convolutions of stride 2 whose width
doubles, then a projection. The grid of tokens is that of the patch embedding it replaces.
"""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn


class ConvStem(nn.Module):
    """(B, in_chans, H, W) images to (B, tokens, embed_dim), one token per patch_size x patch_size pixels.

    It takes the arguments of timm's PatchEmbed. `patch_size` is a power of two. Raises ValueError where it does not
    divide the image.
    """

    dynamic_img_pad = False  # timm's transformer reads these four of its patch embedding
    strict_img_size = True

    def __init__(
        self,
        img_size: tuple[int, int],
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 192,
        bias: bool = True,
        **_: object,
    ) -> None:
        super().__init__()
        halvings = int(math.log2(patch_size))
        if 2**halvings != patch_size or img_size[0] % patch_size or img_size[1] % patch_size:
            raise ValueError(f"patch_size {patch_size} must be a power of two that divides {img_size}")
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (img_size[0] // patch_size, img_size[1] // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        widths = [in_chans, *(max(24, embed_dim // 2 ** (halvings - 1 - i)) for i in range(halvings))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], embed_dim, 1, bias=bias))

    def forward(self, images: Tensor) -> Tensor:
        """Tokens in the order of rows."""
        tokens: Tensor = self.layers(images)
        return tokens.flatten(2).transpose(1, 2)
