"""A folder per person: `DIR/PERSON/*.jpg`, `DIR/PERSON/CAMERA/*.jpg`, or either in `DIR/train|query|gallery/`.

An image's camera is its folder's below the person's, or the `cN` in a name such as `lobby_c3_0042.jpg`; without one
it is unknown, and unknown cameras count as different ones in an evaluation. A name pattern says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.datasets.split import Sample, Split, folders, image_files
from vitreid.training.errors import DataError, WrongLayout

PARTS = {"train": "train", "query": "query", "gallery": "gallery", "test": "gallery"}
_CAMERA = re.compile(r"(?:^|_)c(\d+)(?:s\d+)?(?=_|\.)")


def read_folders(folder: Path, pattern: NamePattern | None = None) -> Split:
    """Read persons from folders; without a query/, gallery/ or train/ folder all of them are for training.

    `test/` beside train/ or query/ is another name of gallery/.
    """
    parts: dict[str, list[Sample]] = {part: [] for part in PARTS.values()}
    for part, path in _parts(folder):
        parts[part] += _samples(path) if pattern is None else _by_pattern(path, pattern)
    if not any(parts.values()):
        raise WrongLayout(f"{folder} holds no folder of images per person, such as {folder.name}/anna/1.jpg")
    return Split(*(tuple(samples) for samples in parts.values()))


def _parts(folder: Path) -> list[tuple[str, Path]]:
    there = [name for name in PARTS if (folder / name).is_dir()]
    if there in ([], ["test"]):
        return [("train", folder)] if folder.is_dir() else []
    if "gallery" in there and "test" in there:
        raise DataError(f"{folder} has gallery/ and test/, which both mean the gallery; join them or rename one")
    return [(PARTS[name], folder / name) for name in there]


def _samples(folder: Path) -> Iterator[Sample]:
    for person in folders(folder):
        for path in image_files(person):
            yield Sample(path, person.name.strip(), _camera(path.name))
        for camera in folders(person):
            for path in image_files(camera):
                yield Sample(path, person.name.strip(), camera.name.strip())


def _camera(name: str) -> str | None:
    match = _CAMERA.search(name)
    return f"c{int(match[1])}" if match else None


def _by_pattern(folder: Path, pattern: NamePattern) -> Iterator[Sample]:
    paths = list(_below(folder))
    read = pattern.read_all([path.relative_to(folder).as_posix() for path in paths])
    for path, label in zip(paths, read, strict=True):
        if label.person_id is None and "person" in pattern.fields:
            continue  # nobody, who is not called after the folder; counted as left out
        place = path.relative_to(folder).parts
        person = label.person_id or (place[0].strip() if len(place) > 1 else None)
        if person is None:
            raise DataError(f"{path} does not say its person; give the pattern a {{person}}, or a folder per person")
        yield Sample(path, person, label.camera_id)


def _below(folder: Path) -> Iterator[Path]:
    yield from image_files(folder)
    for each in folders(folder):
        yield from _below(each)
