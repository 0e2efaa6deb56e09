"""Images of one person by one camera."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitreid.synthetic.cameras import Camera
from vitreid.synthetic.canvas import Canvas
from vitreid.synthetic.figure import draw_person
from vitreid.synthetic.occlusion import OCCLUDED_SHARE, occlude
from vitreid.synthetic.people import Person
from vitreid.synthetic.randomness import chance, stream
from vitreid.synthetic.skeleton import Pose, View

SIZE = (256, 128)
"""Usual size of an image, (height, width)."""


@dataclass(frozen=True)
class Image:
    """A drawn image, uint8 (H, W, 3), and the occluder of the person, or None."""

    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    occluder: str | None


def image(seed: int, identity: int, camera: int, n: int, size: tuple[int, int] = SIZE) -> Image:
    """Draw the n-th image, from 0, of an identity by a camera; the arguments alone determine it."""
    rng = stream(seed, "image", identity, camera, n)
    return draw_image(known_person(seed, identity), known_camera(seed, camera), rng, size)


def draw_image(person: Person, camera: Camera, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Image:
    """Draw an image of a person by a camera, with a random pose, view and crop."""
    canvas = Canvas(camera.background(rng, size))
    view = crop(camera, person, rng, size)
    draw_person(canvas, person, Pose.sample(rng), view)
    occluder = occlude(canvas, rng, view) if chance(rng, OCCLUDED_SHARE) else None
    return Image(camera.record(canvas.pixels, rng), occluder)


def crop(camera: Camera, person: Person, rng: np.random.Generator, size: tuple[int, int]) -> View:
    """Sample the position of the person in the image, like an imprecise box of a detector."""
    height, width = size
    scale = height * camera.tightness * person.body.height * float(rng.uniform(0.94, 1.05))
    ground = 0.5 * (height + scale) + height * float(np.clip(rng.normal(-0.005, 0.015), -0.04, 0.04))
    x = width * (0.5 + float(np.clip(rng.normal(0, 0.04), -0.1, 0.1)))
    return View(camera.yaw(rng), camera.pitch, scale, x, ground - 0.02 * height)


@lru_cache(maxsize=256)
def known_person(seed: int, identity: int) -> Person:
    """Return the person of an identity."""
    return Person.sample(seed, identity)


@lru_cache(maxsize=256)
def known_camera(seed: int, number: int) -> Camera:
    """Return the camera with a number."""
    return Camera.sample(seed, number)
