"""From a file or bytes to the pixels that the graph takes. Nothing else in vitreid decodes or resizes pictures."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from bundle.errors import ImageError

if TYPE_CHECKING:
    from bundle.manifest import ImageSpec

FORMATS = ("JPEG", "PNG", "WEBP")
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
MAX_SCANS = 64
"""Of a progressive JPEG, which needs about ten: each costs a pass over all pixels and may have less than 50 bytes."""


@dataclass(frozen=True)
class ImageLimits:
    """Sizes in pixels that a picture may have; both are read from its header, before anything is decoded."""

    min_side: int = 8
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = ImageLimits()


def read_image(source: Path | bytes, limits: ImageLimits = DEFAULT_LIMITS, *, name: str | None = None) -> Image.Image:
    """Decode a JPEG, PNG or WebP picture to RGB, turned upright by its EXIF orientation.

    CMYK, grey, palette and 16-bit pictures are converted, transparency is dropped, and an animation gives its first
    frame. `name` is what an error calls the picture; by default its path, or "picture" for bytes.

    Raises ImageError for anything that is not a whole picture within the limits.
    """
    label = name or (str(source) if isinstance(source, Path) else "picture")
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise ImageError(label, f"cannot be read ({error.strerror})") from error
    if not content:
        raise ImageError(label, "is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(label, image.size, limits)
            _check_scans(label, content)
            return _to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(label, _too_many(re.search(r"\d+", str(error)), limits)) from error
    except UnidentifiedImageError as error:
        raise ImageError(label, f"is not a picture in {', '.join(FORMATS)}") from error
    except Exception as error:  # hostile bytes make Pillow's parsers raise nearly any type
        raise ImageError(label, f"is damaged ({_one_line(error)})") from error


def resize_to_spec(image: Image.Image, spec: ImageSpec) -> NDArray[np.uint8]:
    """Resize an RGB picture by the model's filter, which is antialiased, to uint8 (height, width, 3)."""
    size = (spec.width, spec.height)
    resized = image if image.size == size else image.resize(size, FILTERS[spec.resize])
    return np.asarray(resized, dtype=np.uint8)


def _too_many(pixels: re.Match[str] | None, limits: ImageLimits) -> str:
    """Pillow refuses the largest pictures itself, and tells their pixels only in its words."""
    found = f"{int(pixels[0]):,}" if pixels else "too many"
    return f"has {found} pixels, at most {limits.max_pixels:,} are allowed; scale it down"


def _check_size(label: str, size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageError(
            label, f"has {width} x {height} pixels, at most {limits.max_pixels:,} are allowed; scale it down"
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            label, f"has {width} x {height} pixels, each side needs at least {limits.min_side} to show a person"
        )


def _check_scans(label: str, content: bytes) -> None:
    scans = content.count(b"\xff\xda") if content.startswith(b"\xff\xd8") else 0
    if scans > MAX_SCANS:
        raise ImageError(label, f"has {scans:,} progressive scans, at most {MAX_SCANS} are allowed; save it again")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
