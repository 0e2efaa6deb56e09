"""Files of a data set's folder that no reader took, by reason: nothing is left out in silence."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from vitreid.bundle import parse_market_name
from vitreid.bundle.image_files import HIDDEN, OTHER_FILES, OTHER_FORMATS, SUFFIXES, ignored_kind
from vitreid.training.datasets.split import LeftOut, Sample

JUNK = "junk boxes: person -1"
NOBODY = "images of person 0000, who is nobody by Market-1501's names (rename a real person)"
NO_PART = "images where the layout has none, or without a line in its lists"
UNREADABLE = "folders that cannot be read"
OF_OTHER_FORMATS = f"{OTHER_FORMATS} than {', '.join(SUFFIXES)}"

_REASONS = {HIDDEN: False, OTHER_FILES: False, OF_OTHER_FORMATS: True, JUNK: False, NOBODY: True, NO_PART: True}
"""Whether a run tells of them, by reason."""


def left_out(path: Path, samples: Iterable[Sample]) -> tuple[LeftOut, ...]:
    """What lies in a data set's folder, or beside the images of a table, and is none of its samples."""
    taken = {str(sample.path) for sample in samples}
    found: dict[str, list[Path]] = defaultdict(list)
    if path.is_dir():
        _walk(path, taken, found)
    else:
        for folder in sorted({Path(each).parent for each in taken}):
            _sort([each for each in _files(folder, found) if each != path], taken, found)
    every = {**_REASONS, UNREADABLE: True}
    return tuple(LeftOut(reason, tuple(found[reason]), noted) for reason, noted in every.items() if found[reason])


def _walk(root: Path, taken: set[str], found: dict[str, list[Path]]) -> None:
    def unreadable(error: OSError) -> None:
        found[UNREADABLE].append(Path(error.filename))

    for folder, names, files in os.walk(root, onerror=unreadable):
        found[HIDDEN] += [Path(folder, name) for name in names if name.startswith(".")]
        names[:] = sorted(name for name in names if not name.startswith("."))
        _sort([Path(folder, name) for name in sorted(files)], taken, found)


def _files(folder: Path, found: dict[str, list[Path]]) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if not each.is_dir())
    except OSError:
        if folder.exists():
            found[UNREADABLE].append(folder)
        return []


def _sort(files: Iterable[Path], taken: set[str], found: dict[str, list[Path]]) -> None:
    for file in files:
        if str(file) not in taken:
            found[_reason(file.name)].append(file)


def _reason(name: str) -> str:
    kind = ignored_kind(name)
    if kind is not None:
        return OF_OTHER_FORMATS if kind == OTHER_FORMATS else kind
    market = parse_market_name(name)
    if market is None or market.person_id is not None:
        return NO_PART
    return JUNK if market.junk else NOBODY
