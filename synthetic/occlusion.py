"""Occluders between a camera and a person."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vitreid.synthetic.canvas import Canvas
from vitreid.synthetic.colours import UPPER, Colour, dye, shade
from vitreid.synthetic.figure import draw_person
from vitreid.synthetic.people import Person, sample_body, sample_looks, sample_outfit
from vitreid.synthetic.randomness import pick, weigh
from vitreid.synthetic.skeleton import VIEWS, Pose, View

OCCLUDED_SHARE = 0.18
"""Share of images in which a part of the person is occluded."""


def occlude(canvas: Canvas, rng: np.random.Generator, view: View) -> str:
    """Draw a random occluder in front of the person at `view` and return its name."""
    name = weigh(rng, {"passer_by": 3, "pole": 2, "bench": 1.5, "car": 1.5, "box": 1.5})
    OCCLUDERS[name](canvas, rng, view)
    return name


def passer_by(canvas: Canvas, rng: np.random.Generator, view: View) -> None:
    """Draw another person, nearer to the camera, cut off by the edge of the image."""
    person = Person(0, sample_body(rng), sample_looks(rng), sample_outfit(rng), None)
    scale, side = view.scale * float(rng.uniform(1.02, 1.15)), pick(rng, (-1, 1))
    x = view.x + side * view.scale * float(rng.uniform(0.19, 0.26))
    nearer = replace(view, yaw=VIEWS[pick(rng, list(VIEWS))], x=x, scale=scale, ground=view.ground + 0.08 * scale)
    draw_person(canvas, person, Pose.sample(rng), nearer)


def pole(canvas: Canvas, rng: np.random.Generator, view: View) -> None:
    """Draw a lamp post or a sign post."""
    x = view.x + view.scale * float(rng.uniform(-0.13, 0.13))
    half = view.scale * float(rng.uniform(0.014, 0.028))
    colour = pick(rng, ((96, 100, 106), (70, 84, 78), (150, 150, 148)))
    canvas.box(x - half, -20, x + half, view.ground + 0.04 * view.scale, colour)
    canvas.box(x - 0.4 * half, -20, x, view.ground + 0.03 * view.scale, shade(colour, 1.25))
    foot = view.ground + 0.05 * view.scale
    canvas.box(x - 1.8 * half, view.ground, x + 1.8 * half, foot, shade(colour, 0.8), corner=2)


def bench(canvas: Canvas, rng: np.random.Generator, view: View) -> None:
    """Draw a bench in front of the legs."""
    unit = view.scale
    left = view.x + unit * float(rng.uniform(-0.4, 0.0))
    right, seat = left + 0.42 * unit, view.ground - unit * float(rng.uniform(0.16, 0.22))
    for x in (left + 0.03 * unit, right - 0.05 * unit):
        canvas.box(x, seat, x + 0.022 * unit, view.ground + 0.05 * unit, (66, 68, 74))
    for k in range(3):
        y = seat - 0.055 * unit * k
        canvas.box(left, y, right, y + 0.036 * unit, (166, 118, 76), corner=2)


def car(canvas: Canvas, rng: np.random.Generator, view: View) -> None:
    """Draw the front of a car at one side."""
    unit, side = view.scale, pick(rng, (-1, 1))
    colour: Colour = dye(rng, UPPER)
    edge = view.x - side * unit * float(rng.uniform(-0.02, 0.1))
    low = view.ground + 0.04 * unit
    hood = low - unit * float(rng.uniform(0.26, 0.32))

    def part(start: float, end: float, top: float, bottom: float, tint: Colour, corner: float = 0.0) -> None:
        left, right = sorted((edge + side * start * unit, edge + side * end * unit))
        canvas.box(left, top, right, bottom, tint, corner=corner * unit)

    part(0.18, 1.2, hood - 0.14 * unit, low, shade(colour, 0.8), 0.05)
    part(0.21, 1.2, hood - 0.11 * unit, hood, (168, 192, 204), 0.03)
    part(0.0, 1.2, hood, low - 0.04 * unit, colour, 0.04)
    part(0.0, 0.035, hood + 0.05 * unit, hood + 0.1 * unit, (250, 236, 180), 0.01)
    part(0.08, 0.26, low - 0.13 * unit, low + 0.05 * unit, (44, 44, 48), 0.09)
    part(0.13, 0.21, low - 0.08 * unit, low, (176, 176, 178), 0.04)


def parcel(canvas: Canvas, rng: np.random.Generator, view: View) -> None:
    """Draw a stack of boxes in front of the legs."""
    unit, side = view.scale, pick(rng, (-1, 1))
    x = view.x + side * unit * float(rng.uniform(0.04, 0.14))
    ground = view.ground + 0.05 * unit
    for colour in ((190, 152, 104), (176, 136, 92))[: int(rng.integers(1, 3))]:
        half, high = unit * float(rng.uniform(0.12, 0.16)), unit * float(rng.uniform(0.14, 0.2))
        canvas.box(x - half, ground - high, x + half, ground, colour, corner=2)
        canvas.box(x - 0.02 * unit, ground - high, x + 0.02 * unit, ground, shade(colour, 1.3))
        ground -= high


OCCLUDERS: dict[str, Callable[[Canvas, np.random.Generator, View], None]] = {
    "passer_by": passer_by,
    "pole": pole,
    "bench": bench,
    "car": car,
    "box": parcel,
}
