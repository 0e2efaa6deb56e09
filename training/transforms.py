"""Random changes to a training picture. The evaluation's only change is the bundle's own resizing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def train_transform(
    image: NDArray[np.uint8],
    random: np.random.Generator,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    flip: float = 0.5,
    pad: int = 10,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    erase: float = 0.5,
    erase_area: tuple[float, float] = (0.02, 1 / 3),
) -> Pixels:
    """Flip, shift, tint, normalise and erase a uint8 (H, W, 3) picture; returns float32 (3, H, W).

    The order and the defaults are those of TransReID (He et al., ICCV 2021): padding is black, erasing fills with
    normal noise after normalisation (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020).
    """
    if random.random() < flip:
        image = image[:, ::-1]
    shifted = random_shift(image, random, pad).astype(np.float32) / np.float32(255)
    tinted = color_jitter(shifted, random, brightness, contrast, saturation)
    pixels: Pixels = np.asarray((tinted - np.array(mean)) / np.array(std), dtype=np.float32)
    if random.random() < erase:
        random_erase(pixels, random, erase_area)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def random_shift(image: NDArray[np.uint8], random: np.random.Generator, pad: int) -> NDArray[np.uint8]:
    """Pad with black on all sides and cut the original size out at a random place."""
    if not pad:
        return image
    height, width = image.shape[:2]
    top, left = random.integers(0, 2 * pad + 1, 2)
    return np.pad(image, ((pad, pad), (pad, pad), (0, 0)))[top : top + height, left : left + width]


def color_jitter(
    pixels: Pixels, random: np.random.Generator, brightness: float, contrast: float, saturation: float
) -> Pixels:
    """Scale brightness, contrast and saturation by factors of 1 ± the given share; values stay in 0..1."""
    light, distance, color = (np.float32(1 + random.uniform(-s, s)) for s in (brightness, contrast, saturation))
    if light == distance == color == 1:
        return pixels
    pixels = pixels * light
    pixels = pixels.mean() * (1 - distance) + pixels * distance
    grey = (pixels @ GREY)[..., None]
    return np.asarray(np.clip(grey * (1 - color) + pixels * color, 0, 1), np.float32)


def random_erase(pixels: Pixels, random: np.random.Generator, area: tuple[float, float]) -> None:
    """Fill one random rectangle of a normalised (H, W, 3) picture with normal noise, in place.

    `area` bounds its share of the picture; its aspect ratio lies between 0.3 and 1/0.3.
    """
    height, width = pixels.shape[:2]
    for _ in range(10):
        size = random.uniform(*area) * height * width
        ratio = np.exp(random.uniform(np.log(0.3), -np.log(0.3)))
        h, w = round(float(np.sqrt(size * ratio))), round(float(np.sqrt(size / ratio)))
        if 0 < h < height and 0 < w < width:
            top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
            pixels[top : top + h, left : left + w] = random.standard_normal((h, w, 3), dtype=np.float32)
            return
