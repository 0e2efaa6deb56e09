"""Independent random streams, one for each thing that is drawn."""

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


def stream(seed: int, subject: str, *key: int) -> np.random.Generator:
    """The generator of one subject ("person", "camera", "image", ...) and its key of non-negative numbers.

    A stream depends on nothing else, so an image is the same in any order and in any process.
    """
    return np.random.default_rng((seed, zlib.crc32(subject.encode()), *key))


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def weigh(rng: np.random.Generator, weights: Mapping[Choice, float]) -> Choice:
    """One of the keys, with probability in proportion to its weight."""
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)
