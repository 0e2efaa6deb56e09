"""Drawing of shapes by signed distances.

A shape computes the distance of each pixel in its window to its outline (`gap` in pixels, negative inside). The
distance gives the smooth edge and the darker rim, so no supersampling is needed. Round bodies also compute the position
of each pixel on their surface; marks (patterns, prints, straps, faces) are functions of it and turn with the person.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np

from vitreid.synthetic.colours import Colour

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Surface:
    """Positions of pixels on the surface of an upright round body.

    angle: around the body in radians, 0 = forward, positive towards the person's left; height: along it, in body
    heights; radius: mean radius in body heights, so that `angle * radius` is a length.
    """

    angle: Array
    height: Array
    radius: float


@dataclass(frozen=True)
class Sphere:
    """Unit directions from the centre of a head: x to the person's left, y up, z forward."""

    x: Array
    y: Array
    z: Array


Mark: TypeAlias = tuple[Callable[[Surface], Array], Colour]
SphereMark: TypeAlias = tuple[Callable[[Sphere], Array], Colour]

EDGE = 0.985
"""Position across a round body, 0..1, beyond which its surface is too oblique to be drawn."""


@dataclass(frozen=True)
class Ring:
    """A cross-section on the image: centre (x, y) and half width in pixels, height in body heights."""

    x: float
    y: float
    half: float
    height: float


def soft(values: Array, sharpness: float = 8.0) -> Array:
    """Return 1 for positive values and 0 for negative ones, with a smooth step."""
    step: Array = np.clip(0.5 + sharpness * values, 0, 1)
    return step


class Canvas:
    """An image being drawn: `pixels` is float32 (H, W, 3), 0..255."""

    rim = 0.3
    """Darkening of the outermost pixels of a shape, 0..1."""
    shadow = 0.13
    """Darkening of the shaded side of a round shape, 0..1."""

    def __init__(self, pixels: Array) -> None:
        self.pixels = pixels
        self.line = max(1.0, pixels.shape[0] / 200)

    def window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice, Array, Array] | None:
        """Return rows, columns and pixel centres (y as a column, x as a row) of a rectangle; None if outside."""
        height, width = self.pixels.shape[:2]
        x0, x1 = max(0, floor(left) - 1), min(width, ceil(right) + 2)
        y0, y1 = max(0, floor(top) - 1), min(height, ceil(bottom) + 2)
        if x0 >= x1 or y0 >= y1:
            return None
        rows = np.arange(y0, y1, dtype=np.float32)[:, None]
        return slice(y0, y1), slice(x0, x1), rows, np.arange(x0, x1, dtype=np.float32)[None, :]

    def lay(self, rows: slice, columns: slice, gap: Array, paint: Array, cover: Array | None = None) -> None:
        """Paint a window with (h, w, 3) or (3,) where the gap is negative, with a darker rim."""
        tone = 1 - self.rim * np.clip(gap + self.line + 0.5, 0, 1)
        amount = np.clip(0.5 - gap, 0, 1)
        if cover is not None:
            amount = amount * cover
        area = self.pixels[rows, columns]
        area += amount[..., None] * (paint * tone[..., None] - area)

    def tube(
        self, points: Sequence[tuple[float, float]], radii: Sequence[float], colour: Colour, marks: Sequence[Mark] = (),
        *, unit: float = 1.0, cuff: bool = False,
    ) -> None:  # fmt: skip
        """Draw a bent limb through points (x, y) with a radius at each, in pixels; `unit` = pixels per body height.

        Its ends are round; with a `cuff` the last one is straight.
        """
        largest = max(radii)
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        frame = self.window(min(xs) - largest, min(ys) - largest, max(xs) + largest, max(ys) + largest)
        if frame is None:
            return
        rows, columns, y, x = frame
        lengths = [max(float(np.hypot(x1 - x0, y1 - y0)), 1e-3) for (x0, y0), (x1, y1) in pairwise(points)]
        last = len(lengths) - 1
        gap, across, along = bone(x, y, points[:2], radii[:2], lengths[0], cuff and last == 0)
        for k in range(1, last + 1):
            other = bone(x, y, points[k : k + 2], radii[k : k + 2], lengths[k], cuff and k == last)
            nearer = other[0] < gap
            across = np.where(nearer, other[1], across)
            done = sum(lengths[:k])
            along = np.where(nearer, done + np.maximum(other[2], 0), np.minimum(along, done))
            gap = np.minimum(gap, other[0])
        paint = np.array(colour, np.float32)
        if marks:
            surface = Surface(np.arcsin(np.clip(across, -1, 1)), -along / unit, largest / unit)
            paint = marked(paint, [(mask(surface), stain) for mask, stain in marks])
        self.lay(rows, columns, gap, self.shaded(paint, across))

    def barrel(
        self, rings: Sequence[Ring], colour: Colour, marks: Sequence[Mark] = (), *, yaw: float = 0.0, sag: float = 0.0,
        radius: float = 0.1, cover: Callable[[Surface], Array] | None = None,
    ) -> None:  # fmt: skip
        """Draw an upright round body through rings from top to bottom; its lower edge sags by `sag` pixels."""
        heights = [ring.y for ring in rings]
        left, right = min(r.x - r.half for r in rings), max(r.x + r.half for r in rings)
        frame = self.window(left, heights[0], right, heights[-1] + max(sag, 0))
        if frame is None:
            return
        rows, columns, y, x = frame
        centre = np.interp(y, heights, [r.x for r in rings]).astype(np.float32)
        half = np.interp(y, heights, [r.half for r in rings]).astype(np.float32)
        across = (x - centre) / half
        side = np.clip(across, -1, 1)
        lower = heights[-1] + sag * np.sqrt(1 - side * side)
        gap = np.maximum(np.abs(x - centre) - half, np.maximum(heights[0] - y, y - lower))
        paint, clipped = np.array(colour, np.float32), None
        if marks or cover is not None:
            level = np.interp(y, heights, [r.height for r in rings]).astype(np.float32)
            angle = np.arcsin(np.clip(side, -EDGE, EDGE)) - yaw
            angle = (angle + np.pi) % (2 * np.pi) - np.pi
            surface = Surface(angle, np.broadcast_to(level, angle.shape), radius)
            paint = marked(paint, [(mask(surface), stain) for mask, stain in marks])
            clipped = None if cover is None else cover(surface)
        self.lay(rows, columns, gap, self.shaded(paint, across), clipped)

    def ball(
        self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour, marks: Sequence[SphereMark] = (),
        *, yaw: float = 0.0, cover: Callable[[Sphere], Array] | None = None,
    ) -> None:  # fmt: skip
        """Draw an ellipsoid with half axes (x, y) in pixels; `cover` limits it to a part of the sphere."""
        (cx, cy), (rx, ry) = centre, radii
        frame = self.window(cx - rx, cy - ry, cx + rx, cy + ry)
        if frame is None:
            return
        rows, columns, y, x = frame
        right, up = (x - cx) / rx, (cy - y) / ry
        distance = np.sqrt(right * right + up * up)
        inner = np.maximum(distance, 1)
        right, up = right / inner, up / inner
        near = np.sqrt(np.maximum(0, 1 - right * right - up * up))
        sphere = Sphere(
            x=right * np.float32(np.cos(yaw)) - near * np.float32(np.sin(yaw)),
            y=up,
            z=right * np.float32(np.sin(yaw)) + near * np.float32(np.cos(yaw)),
        )
        paint = marked(np.array(colour, np.float32), [(mask(sphere), stain) for mask, stain in marks])
        gap = (distance - 1) * min(rx, ry)
        self.lay(rows, columns, gap, self.shaded(paint, right), None if cover is None else cover(sphere))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, *, corner: float = 0.0) -> None:
        """Draw a flat rectangle with round corners."""
        frame = self.window(left, top, right, bottom)
        if frame is None:
            return
        rows, columns, y, x = frame
        dx = np.abs(x - (left + right) / 2) - (right - left) / 2 + corner
        dy = np.abs(y - (top + bottom) / 2) - (bottom - top) / 2 + corner
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) - corner
        self.lay(rows, columns, outside + np.minimum(np.maximum(dx, dy), 0), np.array(colour, np.float32))

    def shadow_on_ground(self, x: float, y: float, half: float) -> None:
        """Draw a soft flat shadow under a pair of feet."""
        frame = self.window(x - half, y - half * 0.3, x + half, y + half * 0.3)
        if frame is not None:
            rows, columns, py, px = frame
            distance = np.hypot((px - x) / half, (py - y) / (0.3 * half))
            self.pixels[rows, columns] *= 1 - 0.35 * np.clip((1 - distance) * 2, 0, 1)[..., None]

    def shaded(self, paint: Array, across: Array) -> Array:
        """Return paint (3,) or (h, w, 3) in two tones: the part right of the middle is in shade."""
        tone = 1.03 - (self.shadow + 0.03) * soft(across - 0.38, 5)
        return tone[..., None] * paint


def bone(
    x: Array, y: Array, ends: Sequence[tuple[float, float]], radii: Sequence[float], length: float, cuff: bool
) -> tuple[Array, Array, Array]:
    """Return the gap to a rounded cone, and positions across it (-1..1 inside) and along it in pixels."""
    (x0, y0), (x1, y1) = ends
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    px, py = x - x0, y - y0
    along, sideways = px * dx + py * dy, px * dy - py * dx
    inside = np.clip(along, 0, length)
    radius = radii[0] + (radii[1] - radii[0]) / length * inside
    gap = np.hypot(along - inside, sideways) - radius
    return np.maximum(gap, along - length) if cuff else gap, sideways / radius, along


def marked(paint: Array, stains: Sequence[tuple[Array, Colour]]) -> Array:
    """Return paint with stains, each a weight (h, w) and a colour, applied in order."""
    for weight, colour in stains:
        paint = paint + weight[..., None] * (np.array(colour, np.float32) - paint)
    return paint
