"""Independent random streams for all things that are drawn."""

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


def stream(seed: int, subject: str, *key: int) -> np.random.Generator:
    """Return the generator of a subject ("person", "camera", "image", ...) and its key of non-negative numbers.

    A stream depends on nothing else, so an image is the same in any order and in any process.
    """
    return np.random.default_rng((seed, zlib.crc32(subject.encode()), *key))


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """Sample one of the choices with equal probability."""
    return choices[int(rng.integers(len(choices)))]


def weigh(rng: np.random.Generator, weights: Mapping[Choice, float]) -> Choice:
    """Sample a key with a probability proportional to its weight."""
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)
