"""Random views of a training image. The evaluation's only change is the bundle's own resizing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

View = Callable[[Tensor], Tensor]
"""From a uint8 (3, H, W) image to a normalised float32 (3, H, W)."""


def train_view(
    size: tuple[int, int],
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    flip: float = 0.5,
    pad: int = 10,
    scale: float = 0.0,
    rotate: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    channel_jitter: float = 0.0,
    erase: float = 0.5,
    erase_area: tuple[float, float] = (0.02, 1 / 3),
) -> View:
    """Build the random view of images of `size` (height, width): flip, move, recolour, normalise, erase.

    The order and the defaults are those of TransReID (He et al., ICCV 2021): what is bare after moving is black, and
    erasing fills a rectangle of an aspect ratio between 0.3 and 1/0.3 with normal noise (Zhong et al., "Random Erasing
    Data Augmentation", AAAI 2020). Draw from it inside of `seeded`.
    """
    jitter = (brightness, contrast, saturation)
    steps: list[tuple[object, Callable[[], Callable[[Any], Any]]]] = [
        (flip, lambda: v2.RandomHorizontalFlip(flip)),
        (
            scale or rotate,
            lambda: v2.RandomAffine(rotate, scale=(1 - scale, 1 + scale), interpolation=InterpolationMode.BILINEAR),
        ),
        (pad, lambda: v2.RandomCrop(size, padding=pad)),
        (True, lambda: v2.ToDtype(torch.float32, scale=True)),
        (any(jitter), lambda: v2.ColorJitter(*jitter)),
        (channel_jitter, lambda: ChannelJitter(channel_jitter)),
        (True, lambda: v2.Normalize(mean, std)),
        (erase, lambda: RandomErasing(erase, *erase_area, mode="pixel", device="cpu")),  # type: ignore[no-untyped-call]  # timm has no types there
    ]
    view: View = v2.Compose([build() for wanted, build in steps if wanted])
    return view


class ChannelJitter(nn.Module):
    """Multiplies each channel of an image in 0..1 by a factor of 1 ± `share` of its own."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, image: Tensor) -> Tensor:
        """Return the image (3, H, W) with other colours, in 0..1."""
        factors = 1 + self.share * (2 * torch.rand(3, 1, 1) - 1)
        return (image * factors).clamp(0, 1)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed the generators of Python and torch's CPU by some numbers for the block, and put them back afterwards."""
    state, seed = random.getstate(), _mixed(numbers)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


def _mixed(numbers: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
