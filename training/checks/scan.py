"""Every image of a data set decoded once, and what is kept of it: some bytes, whatever its size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageError, decoded
from vitreid.training.checks.near_duplicates import Hashes, difference_hash
from vitreid.training.datasets import Sample

CHUNK = 512
MAX_THREADS = 8


@dataclass(frozen=True)
class Scan:
    """Of N samples: the hash of the file's bytes, the difference hash, (height, width), and why one cannot be read.

    What cannot be read has no file hash and size (0, 0).
    """

    digests: tuple[bytes, ...]
    hashes: Hashes
    sizes: NDArray[np.int32]
    failures: dict[int, str]


def scan(samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None) -> Scan:
    """Decode samples in a few threads, a chunk at a time; `progress` gets images done and in all."""
    rows: list[tuple[bytes, int, tuple[int, int], str]] = []
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(samples), CHUNK):
            rows += pool.map(_look, [sample.path for sample in samples[start : start + CHUNK]])
            if progress:
                progress(len(rows), len(samples))
    return Scan(
        digests=tuple(row[0] for row in rows),
        hashes=np.array([row[1] for row in rows], dtype=np.uint64),
        sizes=np.array([row[2] for row in rows], dtype=np.int32).reshape(-1, 2),
        failures={i: row[3] for i, row in enumerate(rows) if row[3]},
    )


def _look(path: Path) -> tuple[bytes, int, tuple[int, int], str]:
    try:
        content = path.read_bytes()
        with decoded(content, name=str(path)) as image:
            hashed, size = difference_hash(image), (image.height, image.width)
    except OSError as error:
        return b"", 0, (0, 0), f"{path}: cannot be read ({error.strerror})"
    except ImageError as error:
        return b"", 0, (0, 0), str(error)
    except ValueError as error:  # of a path with a null character
        return b"", 0, (0, 0), f"{str(path)!r}: cannot be read ({error})"
    return hashlib.sha256(content).digest()[:16], hashed, size, ""
