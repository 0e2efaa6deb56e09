"""Marks on clothes: patterns, prints on the chest, straps. Each returns a mask, 0..1, of a surface."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from vitreid.synthetic.canvas import Array, Surface, soft

Mask: TypeAlias = Callable[[Surface], Array]


def stripes(surface: Surface) -> Array:
    """Return the mask of broad horizontal stripes."""
    return soft(np.sin(surface.height * (2 * np.pi / 0.056)), 1.6)


def hoop(surface: Surface) -> Array:
    """Return the mask of one broad band around the body, at the chest or the elbow."""
    level = np.where(surface.height > 0, surface.height - 0.71, surface.height + 0.13)
    return soft(0.038 - np.abs(level), 120)


def pinstripes(surface: Surface) -> Array:
    """Return the mask of narrow vertical stripes."""
    return soft(np.cos(surface.angle * surface.radius * (2 * np.pi / 0.05)) - 0.35, 2)


def checks(surface: Surface) -> Array:
    """Return the mask of crossing bands, darker where they meet."""
    around = soft(np.sin(surface.angle * surface.radius * (2 * np.pi / 0.064)), 2)
    along = soft(np.sin(surface.height * (2 * np.pi / 0.064)), 2)
    return 0.55 * around + 0.45 * along


def dots(surface: Surface) -> Array:
    """Return the mask of dots in offset rows."""
    across = np.sin(surface.angle * surface.radius * (2 * np.pi / 0.07))
    return soft(across * np.sin(surface.height * (2 * np.pi / 0.07)) - 0.4, 3)


def block(surface: Surface) -> Array:
    """Return the mask of the shoulders."""
    return np.where(surface.height > 0, soft(surface.height - 0.735, 200), soft(surface.height + 0.09, 200))


PATTERNS: dict[str, Mask] = {
    "stripes": stripes,
    "pinstripes": pinstripes,
    "checks": checks,
    "dots": dots,
    "block": block,
    "hoop": hoop,
}


def chest(surface: Surface) -> tuple[Array, Array]:
    """Return the distances to the right and up from the middle of the chest."""
    return surface.angle * surface.radius, surface.height - 0.715


def disc(surface: Surface) -> Array:
    """Return the mask of a round print."""
    right, up = chest(surface)
    return soft(0.042 - np.hypot(right, up), 150)


def square(surface: Surface) -> Array:
    """Return the mask of a square print with a hole."""
    right, up = chest(surface)
    edge = np.maximum(np.abs(right), np.abs(up))
    return soft(0.044 - edge, 150) * soft(edge - 0.018, 150)


def bar(surface: Surface) -> Array:
    """Return the mask of two lines like lettering."""
    right, up = chest(surface)
    lines = np.maximum(soft(0.012 - np.abs(up - 0.018), 150), soft(0.012 - np.abs(up + 0.018), 150))
    return lines * soft(0.058 - np.abs(right), 150)


def triangle(surface: Surface) -> Array:
    """Return the mask of a triangle, point up."""
    right, up = chest(surface)
    return soft(np.minimum(up + 0.04, 0.052 - up - 1.6 * np.abs(right)), 120)


def cross(surface: Surface) -> Array:
    """Return the mask of a cross."""
    right, up = np.abs(chest(surface)[0]), np.abs(chest(surface)[1])
    return soft(np.minimum(0.05 - np.maximum(right, up), 0.016 - np.minimum(right, up)), 150)


PRINTS: dict[str, Mask] = {"disc": disc, "square": square, "bar": bar, "triangle": triangle, "cross": cross}


def strap(surface: Surface, *, at: float, width: float = 0.016, down_to: float = 0.6) -> Array:
    """Return the mask of a vertical strap at an angle around the body."""
    return soft(width - np.abs(surface.angle - at) * surface.radius, 150) * soft(surface.height - down_to, 150)


def sling(surface: Surface, *, side: int) -> Array:
    """Return the mask of a strap across chest and back, from the opposite shoulder to the hip of `side`."""
    top, hip = 0.84, 0.53
    fallen = (top - surface.height) / (top - hip)
    front = side * (-0.7 + fallen * 2.2)
    back = side * (-2.4 - fallen * 2.3)
    distance = np.minimum(turn(surface.angle - front), turn(surface.angle - back)) * surface.radius
    return soft(0.014 - distance, 120) * soft(surface.height - hip, 100)


def opening(surface: Surface, *, half: float) -> Array:
    """Return the mask of a coat's open front, `half` wide to each side."""
    return soft(half - np.abs(surface.angle) * surface.radius, 150)


def lapels(surface: Surface, *, half: float) -> Array:
    """Return the mask of a coat without its open front, which widens towards the neck."""
    gap = half + 0.25 * np.maximum(0, surface.height - 0.68)
    return soft(np.abs(surface.angle) * surface.radius - gap, 150)


def around(*, low: float, high: float) -> Mask:
    """Return the mask of a band around the body between two heights."""
    return partial(_between, low=low, high=high)


def _between(surface: Surface, *, low: float, high: float) -> Array:
    return soft(np.minimum(surface.height - low, high - surface.height), 150)


def neckline(surface: Surface) -> Array:
    """Return the mask of the bare skin above a round collar, deeper in front."""
    return soft(surface.height - 0.838 + 0.022 * np.cos(surface.angle).clip(0), 150)


def turn(angle: Array) -> Array:
    """Return the absolute value of an angle, 0..pi."""
    size: Array = np.abs((angle + np.pi) % (2 * np.pi) - np.pi)
    return size
