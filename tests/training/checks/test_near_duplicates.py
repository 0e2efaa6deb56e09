"""The hash survives what does not change an image, and near hashes are found among many."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from vitreid.training.checks.near_duplicates import DISTANCE, difference_hash, near


def image(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((64, 128), Image.Resampling.BICUBIC)


def test_the_hash_survives_size_and_compression() -> None:
    survived = 0
    for seed in range(20):
        content = io.BytesIO()
        image(seed).resize((48, 96)).save(content, "JPEG", quality=80)
        survived += (difference_hash(image(seed)) ^ difference_hash(Image.open(content))).bit_count() <= DISTANCE
        assert (difference_hash(image(seed)) ^ difference_hash(image(seed + 100))).bit_count() > 10
    assert survived >= 19


def test_bits_of_the_hash_by_hand() -> None:
    rising = Image.fromarray(np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1)))
    assert difference_hash(rising) == 2**64 - 1
    assert difference_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


def test_near_hashes_are_those_of_a_slow_search() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 500, dtype=np.uint64)
    others = np.concatenate([hashes[:200], random.integers(0, 2**64, 200, dtype=np.uint64)])
    for i in range(200):  # 0 to 7 bits are changed
        for bit in random.choice(64, i % 8, replace=False):
            others[i] ^= np.uint64(1) << np.uint64(bit)
    found = near(hashes, others)
    for i, other in enumerate(others.tolist()):
        distances = [(each ^ other).bit_count() for each in hashes.tolist()]
        if min(distances) <= DISTANCE:
            assert distances[found[i]] <= DISTANCE
        else:
            assert found[i] == -1
    assert (found >= 0).sum() > 100


def test_many_equal_hashes_are_one() -> None:
    flat = np.zeros(100_000, dtype=np.uint64)
    assert set(near(flat, flat).tolist()) == {0}


def test_nothing_to_compare() -> None:
    none = np.array([], dtype=np.uint64)
    some = np.array([3], dtype=np.uint64)
    assert near(none, some).tolist() == [-1]
    assert near(some, none).tolist() == []
