"""Palettes and the arithmetic of colours; a colour is (red, green, blue), each 0..255."""

from typing import TypeAlias

import numpy as np

from vitreid.synthetic.randomness import weigh

Colour: TypeAlias = tuple[float, float, float]

INK: Colour = (38, 36, 44)
WHITE: Colour = (242, 240, 234)

SKIN: tuple[Colour, ...] = (
    (247, 214, 188), (238, 194, 160), (222, 172, 134), (198, 144, 104), (160, 108, 74), (120, 78, 54), (88, 58, 44),
)  # fmt: skip

HAIR: dict[Colour, float] = {
    (34, 30, 32): 4, (62, 44, 36): 3, (104, 70, 46): 2, (150, 106, 62): 1.2, (212, 176, 112): 1.2, (158, 74, 42): 0.8,
    (168, 166, 166): 0.9, (226, 224, 220): 0.4,
}  # fmt: skip

UPPER: dict[Colour, float] = {
    (44, 44, 50): 2.2, (242, 240, 234): 2, (134, 138, 144): 1.5, (36, 52, 92): 1.5, (52, 98, 178): 1.2,
    (126, 176, 222): 1, (190, 42, 48): 1.4, (122, 30, 48): 0.8, (226, 116, 44): 0.9, (240, 194, 60): 0.9,
    (58, 130, 76): 1, (104, 112, 60): 0.8, (40, 140, 142): 0.8, (120, 74, 152): 0.8, (234, 140, 168): 0.9,
    (124, 88, 60): 0.8, (214, 190, 152): 1, (168, 216, 184): 0.6,
}  # fmt: skip

LOWER: dict[Colour, float] = {
    (42, 42, 48): 3, (44, 60, 98): 2.6, (92, 122, 168): 1.6, (120, 122, 128): 1.4, (204, 182, 144): 1.4,
    (98, 74, 56): 1, (88, 98, 62): 0.9, (236, 232, 224): 0.9, (132, 40, 52): 0.6, (62, 108, 88): 0.5,
}  # fmt: skip

SHOES: dict[Colour, float] = {
    (40, 38, 42): 3, (240, 238, 234): 2.2, (110, 74, 50): 1.3, (196, 50, 54): 0.7, (60, 92, 166): 0.7,
    (150, 150, 154): 0.8, (236, 196, 70): 0.3,
}  # fmt: skip


def shade(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor < 1) or lighter colour (factor > 1, at most 2: white)."""
    if factor <= 1:
        return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
    share = factor - 1
    return (
        colour[0] + (255 - colour[0]) * share,
        colour[1] + (255 - colour[1]) * share,
        colour[2] + (255 - colour[2]) * share,
    )


def contrast(one: Colour, other: Colour) -> float:
    """Return the distance between two colours, 0..441."""
    return float(np.linalg.norm(np.subtract(one, other)))


def dye(rng: np.random.Generator, palette: dict[Colour, float], *, unlike: Colour | None = None) -> Colour:
    """Sample a colour of the palette with a slight tint, clearly different from `unlike`."""
    choices = {c: w for c, w in palette.items() if unlike is None or contrast(c, unlike) > 90}
    colour = np.add(weigh(rng, choices), rng.normal(0, 5, 3))
    red, green, blue = np.clip(np.round(colour), 8, 250).tolist()
    return (red, green, blue)
