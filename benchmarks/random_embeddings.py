"""Random embeddings with the structure of a ReID model's, for benchmarks that need up to a million.

They are not white noise: persons have look-alikes, every camera adds a shift, and the images of one track are nearly
equal. The cosine of two images is about 0.63 for one person, 0.9 for one track and 0.45 for look-alikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CAMERAS = 6
IMAGES = 50  # of one person
TRACK_IMAGES = 5  # of one track: a person passing one camera
LOOK_ALIKES = 2
BLOCK = 4096  # tracks generated at a time

# Learned embeddings use few of their axes. With a model trained on CUHK03, the effective dimension is 28 for the means
# of unseen persons and 56 for the differences of images of one person; the cosine of two persons is 0.07 +- 0.14.
PERSON_AXES = 40
IMAGE_AXES = 64
MIN_SCALE = 0.03  # of every axis, relative to the first one

# Shares of the squared length of an embedding; the shares that two images have in common are their cosine.
CLOTHES = 0.45
PERSON = 0.18
CAMERA = 0.08
TRACK = 0.2
IMAGE = 0.1


@dataclass(frozen=True)
class Embeddings:
    """Embeddings (N, D) of unit length, with the person and the camera (N,) of each."""

    embeddings: Floats
    persons: Numbers
    cameras: Numbers


class Population:
    """A population of persons, determined by its arguments, from which images are drawn."""

    def __init__(self, count: int, dimension: int = 384, *, seed: int = 0) -> None:
        random = np.random.default_rng([seed, 0])
        self.dimension = dimension
        self._seed = seed
        clothes = _directions(random, -(-count // LOOK_ALIKES), dimension, PERSON_AXES)
        self._persons = np.sqrt(PERSON) * _directions(random, count, dimension, PERSON_AXES)
        self._persons += np.sqrt(CLOTHES) * np.repeat(clothes, LOOK_ALIKES, axis=0)[:count]
        self._cameras = np.sqrt(CAMERA) * _directions(random, CAMERAS, dimension, IMAGE_AXES)

    def gallery(self, rows: int) -> Embeddings:
        """Return `rows` images: up to 50 of each person, 5 of each track, with the tracks in random order."""
        random = np.random.default_rng([self._seed, 1])
        tracks = np.tile(np.arange(len(self._persons)), IMAGES // TRACK_IMAGES)
        random.shuffle(tracks)
        return self._images(tracks[: -(-rows // TRACK_IMAGES)], TRACK_IMAGES, rows, stream=2)

    def queries(self, count: int) -> Embeddings:
        """Return new images of these persons, each of a different track."""
        random = np.random.default_rng([self._seed, 3])
        return self._images(random.integers(len(self._persons), size=count), 1, count, stream=4)

    def _images(self, tracks: Numbers, each: int, rows: int, *, stream: int) -> Embeddings:
        embeddings = np.empty((len(tracks) * each, self.dimension), dtype=np.float32)
        cameras = np.random.default_rng([self._seed, stream]).integers(CAMERAS, size=len(tracks))
        for block, start in enumerate(range(0, len(tracks), BLOCK)):
            random = np.random.default_rng([self._seed, stream, block])
            part = slice(start, start + BLOCK)
            seen = self._persons[tracks[part]] + self._cameras[cameras[part]]
            seen += np.sqrt(TRACK) * _directions(random, len(seen), self.dimension, IMAGE_AXES)
            own = np.repeat(seen, each, axis=0)
            own += np.sqrt(IMAGE) * _directions(random, len(own), self.dimension, IMAGE_AXES)
            embeddings[start * each : start * each + len(own)] = own / np.linalg.norm(own, axis=1, keepdims=True)
        return Embeddings(embeddings[:rows], np.repeat(tracks, each)[:rows], np.repeat(cameras, each)[:rows])


def population_for(rows: int, dimension: int = 384, *, seed: int = 0) -> Population:
    """Return a population that is large enough for a gallery with this number of rows."""
    return Population(max(LOOK_ALIKES, -(-rows // IMAGES)), dimension, seed=seed)


def _directions(random: np.random.Generator, count: int, dimension: int, axes: int) -> Floats:
    """Return random unit vectors with most of their length along the first `axes` axes."""
    scale = np.exp(-np.arange(dimension, dtype=np.float32) / axes) + MIN_SCALE
    vectors = random.standard_normal((count, dimension), dtype=np.float32) * scale
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32, copy=False)
