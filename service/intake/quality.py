"""Image quality of a crop: size, sharpness, brightness, and the share outside of the frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.service.gallery.items import Quality, Range

MEASURED = (128, 64)
"""(height, width) at which sharpness is measured: the same for all crops, so that large and small ones compare."""


@dataclass(frozen=True)
class QualityViolation:
    """A quality outside of its range."""

    rule: str
    """"min_" or "max_" and the quality's name: few different ones, to count by."""
    reason: str
    """One sentence part with the value and what is allowed."""


def measure(image: Image.Image, outside: float = 0.0) -> Quality:
    """Measure an RGB crop; `outside` is the share of its box that lay outside of the frame, 0..1.

    Brightness is the mean luma (ITU-R 601, as Pillow's "L") by 255: 0 black, 1 white. See `sharpness`.
    """
    luma = image.convert("L")
    height, width = MEASURED
    # Bilinear with antialiasing: a box filter would leave a small crop in blocks, and their edges count as sharp.
    fixed = np.asarray(luma.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
    return Quality(
        height=image.height,
        width=image.width,
        sharpness=sharpness(fixed),
        brightness=float(np.asarray(luma).mean()) / 255,
        outside=outside,
    )


def sharpness(luma: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian of (H, W) luma 0..255, in grey levels squared, over its inner pixels.

    0 for an even area. At the measured size, crops of CUHK03 have 4,000 to 12,000, and 100 to 200 after they were
    halved. The Laplacian is the sum of the four neighbours minus four times the pixel (Pech-Pacheco et al., ICPR 2000).
    """
    inner = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
    return float(laplacian.var())


def violation_of(quality: Quality, ranges: Mapping[str, Range]) -> QualityViolation | None:
    """Return the first violated range, or None."""
    for name, (minimum, maximum) in ranges.items():
        value = getattr(quality, name)
        if minimum is not None and value < minimum:
            return QualityViolation(f"min_{name}", f"{name} is {value:.4g}; expected at least {minimum:g}")
        if maximum is not None and value > maximum:
            return QualityViolation(f"max_{name}", f"{name} is {value:.4g}; expected at most {maximum:g}")
    return None
