"""Preprocessing of a model trained elsewhere: from the axes of its input and from its documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageSpec
from vitreid.export.errors import AdoptionError

Layout = Literal["NCHW", "NHWC"]
Color = Literal["RGB", "BGR"]
Resize = Literal["bicubic", "bilinear"]
Three = tuple[float, float, float]
Axes = Sequence[int | str | None]

IMAGENET_MEAN: Three = (0.485, 0.456, 0.406)
IMAGENET_STD: Three = (0.229, 0.224, 0.225)
AXES: dict[Layout, tuple[int, int, int]] = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}
"""Axes of channels, height and width."""
MAX_SIDE = 4096


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """The input of a model by its documentation; None: from the file, or as for ImageNet."""

    height: int | None = None
    width: int | None = None
    layout: Layout | None = None
    color: Color = "RGB"
    scale: float | None = None
    mean: Three | None = None
    std: Three | None = None
    resize: Resize = "bilinear"
    output: str | None = None


@dataclass(frozen=True)
class Pixels:
    """(pixel / scale - mean) / std, channels in the order of `color`; only that order where `dtype` is uint8."""

    dtype: type[np.generic]
    layout: Layout
    color: Color
    scale: float
    mean: Three
    std: Three

    def axes(self, image: ImageSpec) -> tuple[int, int, int]:
        """Return the shape of one image in the model's layout."""
        size = (image.height, image.width)
        return (3, *size) if self.layout == "NCHW" else (*size, 3)

    def prepared(self, images: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Convert uint8 RGB images (B, H, W, 3) to the model's input."""
        ordered = images[..., ::-1] if self.color == "BGR" else images
        values: NDArray[np.generic] = ordered
        if self.dtype is not np.uint8:
            mean, std = (np.asarray(each, dtype=np.float32) for each in (self.mean, self.std))
            values = ((ordered.astype(np.float32) / np.float32(self.scale) - mean) / std).astype(self.dtype)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if self.layout == "NCHW" else values)


def find_layout(axes: Axes, stated: Layout | None) -> Layout:
    """Find the order of the four axes. Raises AdoptionError if it is ambiguous, or not that of images."""
    three = [layout for layout, (channels, _, _) in AXES.items() if axes[channels] == 3]
    possible = three or [layout for layout, (channels, _, _) in AXES.items() if not isinstance(axes[channels], int)]
    if not possible:
        raise AdoptionError(f"takes {shown(axes)}, where no axis is the three channels of a colour image")
    if stated and stated not in possible:
        raise AdoptionError(f"takes {shown(axes)}, which is not {stated}; leave out --layout, or correct it")
    if not stated and len(possible) > 1:
        raise AdoptionError(
            f"takes {shown(axes)}, where channels, height and width are ambiguous; use --layout NCHW or --layout NHWC"
        )
    return stated or possible[0]


def find_image(axes: Axes, layout: Layout, stated: InputSpec) -> ImageSpec:
    """Find the images' size. Raises AdoptionError if axes and `stated` do not give it, or contradict each other."""
    sides = dict(zip(("height", "width"), AXES[layout][1:], strict=True))
    sizes: dict[str, int] = {}
    for name, axis in sides.items():
        found, given = axes[axis], getattr(stated, name)
        if isinstance(found, int) and given not in (None, found):
            raise AdoptionError(f"takes images of {name} {found}, not {given}; leave out --{name}")
        size = found if isinstance(found, int) else given
        if size is None:
            raise AdoptionError(f"takes images of any {name}; give the one that it was trained with as --{name}")
        if not 0 < size <= MAX_SIDE:
            raise AdoptionError(f"takes no images of {name} {size}; give --{name} from 1 to {MAX_SIDE}")
        sizes[name] = size
    return ImageSpec(height=sizes["height"], width=sizes["width"], resize=stated.resize)


def find_pixels(dtype: type[np.generic], layout: Layout, stated: InputSpec) -> Pixels:
    """Find the arithmetic on pixels, ImageNet's by default. Raises AdoptionError for invalid numbers."""
    if dtype is np.uint8:
        if given := [f"--{name}" for name in ("scale", "mean", "std") if getattr(stated, name) is not None]:
            raise AdoptionError(f"takes uint8, so its arithmetic on pixels is inside; leave out {', '.join(given)}")
        return Pixels(dtype, layout, stated.color, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    order = slice(None, None, -1 if stated.color == "BGR" else 1)
    scale = 255.0 if stated.scale is None else stated.scale
    mean = cast("Three", IMAGENET_MEAN[order]) if stated.mean is None else stated.mean
    std = cast("Three", IMAGENET_STD[order]) if stated.std is None else stated.std
    if not np.isfinite((scale, *mean, *std)).all() or min(scale, *std) <= 0:
        raise AdoptionError(f"cannot take --scale {scale:g} --mean {mean} --std {std}: scale and std must be above 0")
    return Pixels(dtype, layout, stated.color, scale, mean, std)


def shown(axes: Axes) -> str:
    """Format a shape for messages: (batch, 3, 256, ?)."""
    return f"({', '.join('?' if axis is None else str(axis) for axis in axes)})"
