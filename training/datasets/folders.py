"""A folder per person: `DIR/PERSON/*.jpg`, or `DIR/train|query|gallery/PERSON/*.jpg`.

A picture's camera is the `cN` in a name such as `lobby_c3_0042.jpg`; without one it is unknown, and unknown cameras
count as different ones in an evaluation.
"""

from __future__ import annotations

import re
from pathlib import Path

from training.datasets.split import Sample, Split, pictures
from training.errors import DataError

PARTS = ("train", "query", "gallery")
_CAMERA = re.compile(r"(?:^|_)c(\d+)(?:s\d+)?(?=_|\.)")


def read_folders(folder: Path) -> Split:
    """Read persons from folders; without a query/ or gallery/ folder all of them are for training."""
    has_parts = any((folder / part).is_dir() for part in PARTS)
    parts = [_samples(folder / part) for part in PARTS] if has_parts else [_samples(folder), (), ()]
    if not any(parts):
        raise DataError(f"{folder} holds no folder of pictures per person, such as {folder.name}/anna/1.jpg")
    return Split(*parts)


def _samples(folder: Path) -> tuple[Sample, ...]:
    persons = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return tuple(Sample(path, person.name, _camera(path.name)) for person in persons for path in pictures(person))


def _camera(name: str) -> str | None:
    match = _CAMERA.search(name)
    return f"c{int(match[1])}" if match else None
