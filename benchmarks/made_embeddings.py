"""Embeddings as a ReID model makes them, without a model: for benchmarks that need a million.

Not white noise: people have look-alikes, every camera shifts what it sees, and the images of one moment are nearly
the same. Two images of a person have a cosine of about 0.63, of one moment 0.9, of look-alikes 0.45.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CAMERAS = 6
IMAGES = 50  # of a person
MOMENT = 5  # images of one moment: one track past one camera
LOOK_ALIKES = 2
BLOCK = 4096  # moments made at once

# Learned embeddings use few of their axes. Of a model trained on CUHK03 the means of people it had not seen have an
# effective dimension of 28, what differs between images of one person 56, and strangers a cosine of 0.07 +- 0.14.
PERSON_AXES = 40
IMAGE_AXES = 64
LEAST = 0.03  # of the first axis, has every axis

# Shares of the squared length of an embedding; what two images share is their cosine.
CLOTHES = 0.45
PERSON = 0.18
CAMERA = 0.08
MOMENT_SHARE = 0.2
IMAGE = 0.1


@dataclass(frozen=True)
class Made:
    """Embeddings (N, D) of unit length, with the person and the camera (N,) of each."""

    embeddings: Floats
    persons: Numbers
    cameras: Numbers


class People:
    """A population that images can be made of; the same for the same arguments."""

    def __init__(self, count: int, dimension: int = 384, *, seed: int = 0) -> None:
        random = np.random.default_rng([seed, 0])
        self.dimension = dimension
        self._seed = seed
        clothes = _directions(random, -(-count // LOOK_ALIKES), dimension, PERSON_AXES)
        self._persons = np.sqrt(PERSON) * _directions(random, count, dimension, PERSON_AXES)
        self._persons += np.sqrt(CLOTHES) * np.repeat(clothes, LOOK_ALIKES, axis=0)[:count]
        self._cameras = np.sqrt(CAMERA) * _directions(random, CAMERAS, dimension, IMAGE_AXES)

    def gallery(self, rows: int) -> Made:
        """The first `rows` images of 50 of each person, 5 of each moment, in an order in which people mix."""
        random = np.random.default_rng([self._seed, 1])
        moments = np.tile(np.arange(len(self._persons)), IMAGES // MOMENT)
        random.shuffle(moments)
        return self._images(moments[: -(-rows // MOMENT)], MOMENT, rows, stream=2)

    def queries(self, count: int) -> Made:
        """New images of these people, each of a moment of its own."""
        random = np.random.default_rng([self._seed, 3])
        return self._images(random.integers(len(self._persons), size=count), 1, count, stream=4)

    def _images(self, moments: Numbers, each: int, rows: int, *, stream: int) -> Made:
        embeddings = np.empty((len(moments) * each, self.dimension), dtype=np.float32)
        cameras = np.random.default_rng([self._seed, stream]).integers(CAMERAS, size=len(moments))
        for block, start in enumerate(range(0, len(moments), BLOCK)):
            random = np.random.default_rng([self._seed, stream, block])
            part = slice(start, start + BLOCK)
            seen = self._persons[moments[part]] + self._cameras[cameras[part]]
            seen += np.sqrt(MOMENT_SHARE) * _directions(random, len(seen), self.dimension, IMAGE_AXES)
            own = np.repeat(seen, each, axis=0)
            own += np.sqrt(IMAGE) * _directions(random, len(own), self.dimension, IMAGE_AXES)
            embeddings[start * each : start * each + len(own)] = own / np.linalg.norm(own, axis=1, keepdims=True)
        return Made(embeddings[:rows], np.repeat(moments, each)[:rows], np.repeat(cameras, each)[:rows])


def made_people(rows: int, dimension: int = 384, *, seed: int = 0) -> People:
    """As many people as a gallery of so many rows needs."""
    return People(max(LOOK_ALIKES, -(-rows // IMAGES)), dimension, seed=seed)


def _directions(random: np.random.Generator, count: int, dimension: int, axes: int) -> Floats:
    """Random unit vectors, most of whose length lies along the first `axes` axes."""
    scale = np.exp(-np.arange(dimension, dtype=np.float32) / axes) + LEAST
    vectors = random.standard_normal((count, dimension), dtype=np.float32) * scale
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32, copy=False)
