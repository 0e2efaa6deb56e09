"""Images given in any usual form: a path, encoded bytes, a Pillow image or an array."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle.errors import ImageError
from vitreid.bundle.preprocess import read_image, upright_rgb

ImageLike = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A path, the bytes of a JPEG, PNG or WebP file, a Pillow image, or an RGB array (H, W, 3) of uint8."""


@singledispatch
def rgb_image(source: object) -> Image.Image:
    """Return the image upright and in RGB. Raises ImageError, which names the path, for what cannot be read."""
    raise ImageError("image", f"is a {type(source).__name__}; expected a path, bytes, a Pillow image or an array")


@rgb_image.register
def _(source: str) -> Image.Image:
    return read_image(Path(source))


@rgb_image.register(Path)
@rgb_image.register(bytes)
def _(source: Path | bytes) -> Image.Image:
    return read_image(source)


@rgb_image.register
def _(source: Image.Image) -> Image.Image:
    return upright_rgb(source)


@rgb_image.register
def _(source: np.ndarray) -> Image.Image:
    if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
        raise ImageError("image", f"is an array of {source.dtype} {source.shape}; expected uint8 (H, W, 3) in RGB")
    return Image.fromarray(source)
