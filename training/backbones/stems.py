"""Stems: images (B, 3, H, W) to tokens (B, N, D) by rows, with the arguments and the grid of timm's PatchEmbed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import timm
import torch
from timm.layers.hybrid_embed import HybridEmbed
from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn


class ConvStem(nn.Module):
    """3x3 convolutions of stride 2 whose width doubles, then a projection; `patch_size` is a power of two.

    Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021. Raises ValueError if the patch size
    does not divide the image.
    """

    dynamic_img_pad = False  # timm's transformer reads these of its patch embedding
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
        """Return tokens by rows."""
        tokens: Tensor = self.layers(images)
        return tokens.flatten(2).transpose(1, 2)


class HalfInstanceNorm(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the others (IBN-a).

    Pan et al., "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = channels // 2
        self.IN = nn.InstanceNorm2d(self.first, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.first)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W)."""
        return torch.cat([self.IN(maps[:, : self.first]), self.BN(maps[:, self.first :])], dim=1)


class IcsStem(nn.Module):
    """IBN-based convolution stem: three convolutions at half the size, then patches of half the pixels.

    Luo et al., "Self-Supervised Pre-Training for Transformer-Based Person Re-Identification", 2021, section 3.3. Raises
    ValueError if the patch size is odd or does not divide a side.
    """

    dynamic_img_pad = False  # timm's transformer reads these of its patch embedding
    strict_img_size = True

    def __init__(
        self,
        img_size: tuple[int, int],
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 384,
        bias: bool = True,
        **_: object,
    ) -> None:
        super().__init__()
        if patch_size % 2 or img_size[0] % patch_size or img_size[1] % patch_size:
            raise ValueError(f"patch_size {patch_size} must be even and divide {img_size}")
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (img_size[0] // patch_size, img_size[1] // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.conv = nn.Sequential(
            nn.Conv2d(in_chans, 64, 7, stride=2, padding=3, bias=False),
            HalfInstanceNorm(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1, bias=False),
            HalfInstanceNorm(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.proj = nn.Conv2d(64, embed_dim, patch_size // 2, stride=patch_size // 2, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens by rows."""
        tokens: Tensor = self.proj(self.conv(images))
        return tokens.flatten(2).transpose(1, 2)


def resnet_stem(img_size: tuple[int, int], patch_size: int = 16, embed_dim: int = 384, **_: object) -> nn.Module:
    """Build ResNet-50 up to its third stage, one token per 16x16 pixels.

    Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, section 3.1 (hybrid architecture). Raises
    ValueError for another patch size.
    """
    if patch_size != 16:
        raise ValueError(f"patch_size {patch_size} must be 16 with the stem 'resnet'")
    stages = timm.create_model("resnet50", features_only=True, out_indices=(3,))
    return HybridEmbed(stages, img_size=img_size, patch_size=1, embed_dim=embed_dim)


STEMS: dict[str, Callable[..., nn.Module]] = {
    "patch": PatchEmbed,
    "conv": ConvStem,
    "ics": IcsStem,
    "resnet": resnet_stem,
}
