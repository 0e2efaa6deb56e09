"""Decoding and resizing of images for the graph. Nothing else in vitreid decodes or resizes images."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from vitreid.bundle.budget import PixelBudget
from vitreid.bundle.errors import ImageError
from vitreid.bundle.jpeg import count_scans, with_ends

if TYPE_CHECKING:
    from vitreid.bundle.manifest import ImageSpec

FORMATS = ("JPEG", "PNG", "WEBP")
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
MAX_SCANS = 64
"""Limit for a progressive JPEG, which needs about ten: each scan is a pass over all pixels, in as few as 50 bytes."""
BACKGROUND = (128, 128, 128)
"""Color behind transparent pixels."""
STRIP = 64
"""Rows that are converted at a time: the whole image at once would need twice its memory."""
MAX_PIXELS = 25_000_000
MAX_DECODING_PIXELS = 40_000_000
"""Default limit for one process at a time. A pixel costs up to 20 bytes: see docs/operations.md."""

# Pillow's blocks of 16 MiB stay in the allocator's pools of each thread; larger ones are returned to the system.
Image.core.set_block_size(64 * 2**20)  # type: ignore[attr-defined]  # documented, yet not exported


@dataclass(frozen=True)
class ImageLimits:
    """Limits of an image's size in pixels, checked against its header before anything is decoded.

    `budget` limits the pixels that are decoded at a time; by default the whole process shares one.
    """

    min_side: int = 8
    max_pixels: int = MAX_PIXELS
    budget: PixelBudget = field(default=PixelBudget(MAX_DECODING_PIXELS), compare=False, repr=False)


DEFAULT_LIMITS = ImageLimits()


def read_image(source: Path | bytes, limits: ImageLimits = DEFAULT_LIMITS, *, name: str | None = None) -> Image.Image:
    """Decode a JPEG, PNG or WebP image to RGB, turned upright by its EXIF orientation.

    CMYK, grey, palette and 16-bit images are converted, transparent pixels become grey, and an animation gives its
    first frame. `name` is the image's name in errors; by default its path, or "image" for bytes.

    Raises ImageError for anything that is not a complete image within the limits, and DecodingBusy.
    """
    with decoded(source, limits, name=name) as image:
        return image


@contextmanager
def decoded(
    source: Path | bytes, limits: ImageLimits = DEFAULT_LIMITS, *, name: str | None = None
) -> Iterator[Image.Image]:
    """Decode an image like `read_image`; it counts towards the budget until the block ends.

    With this, several threads can decode images of any size; keep no reference to the image after the block.
    """
    label = name or (str(source) if isinstance(source, Path) else "image")
    content = _content(source, label)
    opened = _opened(content, label, limits)
    with limits.budget.held(opened.width * opened.height):
        image = _decoded(opened, content, label)
        del opened  # a WebP image of Pillow holds its decoder, and with it 12 bytes a pixel
        yield image


def upright_rgb(image: Image.Image) -> Image.Image:
    """Convert an image in memory like `read_image` does; an upright RGB image is returned unchanged."""
    turned = ImageOps.exif_transpose(image)
    return turned if turned.mode == "RGB" and not turned.has_transparency_data else _to_rgb(turned)


def resize_to_spec(image: Image.Image, spec: ImageSpec) -> NDArray[np.uint8]:
    """Resize an RGB image with the antialiased filter of the model and return uint8 (height, width, 3)."""
    size = (spec.width, spec.height)
    resized = image if image.size == size else image.resize(size, FILTERS[spec.resize])
    return np.asarray(resized, dtype=np.uint8)


def _content(source: Path | bytes, label: str) -> bytes:
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise ImageError(label, f"cannot be read ({error.strerror})") from error
    if not content:
        raise ImageError(label, "is empty (0 bytes)")
    return content


def _opened(content: bytes, label: str, limits: ImageLimits) -> Image.Image:
    """Return an image that is not decoded yet; its header is within the limits."""
    try:
        image = _open(content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(label, _too_many(re.search(r"\d+", str(error)), limits)) from error
    except UnidentifiedImageError as error:
        raise ImageError(label, f"is not an image in {', '.join(FORMATS)}") from error
    except Exception as error:  # hostile bytes make Pillow's parsers raise nearly any type
        raise _damaged(label, error) from error
    _check_size(label, image.size, limits)
    _check_scans(label, content)
    return image


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _decoded(opened: Image.Image, content: bytes, label: str) -> Image.Image:
    try:
        return _upright(opened)
    except Exception as error:  # as above
        if (image := _without_end(content)) is not None:
            return image
        raise _damaged(label, error) from error


def _without_end(content: bytes) -> Image.Image | None:
    """Return a JPEG image that lacks nothing but its end marker; None for others."""
    try:
        images = [_upright(_open(each)) for each in with_ends(content)]
    except Exception:  # as above
        return None
    if not images or any(ImageChops.difference(images[0], each).getbbox() for each in images[1:]):
        return None
    return images[0]


def _damaged(label: str, error: Exception) -> ImageError:
    return ImageError(label, f"is damaged ({' '.join(str(error).split()) or type(error).__name__})")


def _too_many(pixels: re.Match[str] | None, limits: ImageLimits) -> str:
    """Return the reason for an image that Pillow itself refuses; `pixels` is the number in Pillow's message."""
    found = f"{int(pixels[0]):,}" if pixels else "too many"
    return f"has {found} pixels; at most {limits.max_pixels:,} are allowed; scale it down"


def _check_size(label: str, size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageError(
            label, f"has {width} x {height} pixels; at most {limits.max_pixels:,} are allowed; scale it down"
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            label, f"has {width} x {height} pixels; each side needs at least {limits.min_side} to show a person"
        )


def _check_scans(label: str, content: bytes) -> None:
    if (found := count_scans(content)) > MAX_SCANS:
        raise ImageError(label, f"has {found:,} progressive scans; at most {MAX_SCANS} are allowed; save it again")


def _upright(opened: Image.Image) -> Image.Image:
    with opened as image:
        ImageOps.exif_transpose(image, in_place=True)
        plain = image.mode == "RGB" and not image.has_transparency_data and image.format != "WEBP"
        return image if plain else _to_rgb(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, BACKGROUND)
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        if strip.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling
            strip = Image.fromarray((np.asarray(strip) >> 8).clip(0, 255).astype(np.uint8))
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            flat.paste(strip, (0, top), strip)
        else:
            flat.paste(strip.convert("RGB"), (0, top))
    return flat
