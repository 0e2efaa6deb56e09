"""Random changes to a training image. The evaluation's only change is the bundle's own resizing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    scale: float = 0.0,
    rotate: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    channel_jitter: float = 0.0,
    erase: float = 0.5,
    erase_area: tuple[float, float] = (0.02, 1 / 3),
) -> Pixels:
    """Flip, move, recolour, normalise and erase a uint8 (H, W, 3) image; returns float32 (3, H, W).

    The order and the defaults are those of TransReID (He et al., ICCV 2021): padding is black, erasing fills with
    normal noise after normalisation (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020).
    """
    if random.random() < flip:
        image = image[:, ::-1]
    moved = random_shift(random_affine(image, random, scale, rotate), random, pad)
    unit = np.divide(moved, 255, dtype=np.float32)
    recoloured = color_jitter(unit, random, brightness, contrast, saturation, channel_jitter)
    pixels = np.array(recoloured.transpose(2, 0, 1), order="C")
    pixels -= np.array(mean, np.float32)[:, None, None]
    pixels /= np.array(std, np.float32)[:, None, None]
    if random.random() < erase:
        random_erase(pixels.transpose(1, 2, 0), random, erase_area)
    return pixels


def random_shift(image: NDArray[np.uint8], random: np.random.Generator, pad: int) -> NDArray[np.uint8]:
    """Pad with black on all sides and cut the original size out at a random place."""
    if not pad:
        return image
    height, width = image.shape[:2]
    top, left = random.integers(0, 2 * pad + 1, 2)
    return np.pad(image, ((pad, pad), (pad, pad), (0, 0)))[top : top + height, left : left + width]


def random_affine(
    image: NDArray[np.uint8], random: np.random.Generator, scale: float, rotate: float
) -> NDArray[np.uint8]:
    """Zoom by a factor of 1 ± `scale` and turn by up to ± `rotate` degrees about the centre; what is bare is black."""
    if not (scale or rotate):
        return image
    height, width = image.shape[:2]
    zoom, angle = 1 + random.uniform(-scale, scale), np.deg2rad(random.uniform(-rotate, rotate))
    # Pillow asks for the map from the result's pixels back to the source's.
    cos, sin, x, y = np.cos(angle) / zoom, np.sin(angle) / zoom, width / 2, height / 2
    back = (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)
    turned = Image.fromarray(image).transform((width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.asarray(turned)


def color_jitter(
    pixels: Pixels,
    random: np.random.Generator,
    brightness: float,
    contrast: float,
    saturation: float,
    channel_jitter: float = 0.0,
) -> Pixels:
    """Scale brightness, contrast, saturation and each channel by factors of 1 ± the share; values stay in 0..1."""
    light, distance, color = (np.float32(1 + random.uniform(-s, s)) for s in (brightness, contrast, saturation))
    channels = (1 + random.uniform(-channel_jitter, channel_jitter, 3)).astype(np.float32)
    if light == distance == color == 1 and not channel_jitter:
        return pixels
    pixels = pixels * (light * channels)
    pixels = pixels.mean() * (1 - distance) + pixels * distance
    grey = (pixels @ GREY)[..., None]
    return np.asarray(np.clip(grey * (1 - color) + pixels * color, 0, 1), np.float32)


def random_erase(pixels: Pixels, random: np.random.Generator, area: tuple[float, float]) -> None:
    """Fill one random rectangle of a normalised (H, W, 3) image with normal noise, in place.

    `area` bounds its share of the image; its aspect ratio lies between 0.3 and 1/0.3.
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
