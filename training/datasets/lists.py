"""Text files that list images, one a line, with values after the name."""

from __future__ import annotations

from pathlib import Path

from vitreid.training.errors import DataError, WrongLayout


def read_list(file: Path, values: int, whose: str) -> list[list[str]]:
    """The words of each line that is not empty: the image's name and as many `values`.

    Raises DataError where the file is missing, empty, or a line is of another form; `whose` is the data set.
    """
    if not file.is_file():
        raise DataError(f"{file.parent} has no file {file.name}, which {whose} comes with; unpack it again")
    rows = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        words = line.split()
        if words and len(words) != 1 + values:
            raise DataError(f"{file}, line {number}: {line.strip()[:80]!r} is not an image and {values} values")
        if words:
            rows.append(words)
    if not rows:
        raise DataError(f"{file} lists no images; unpack {whose} again")
    return rows


def need_folder(folder: Path, whose: str, *names: str) -> Path:
    """The first of the folders `names` that is there. Raises DataError where none is."""
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise WrongLayout(f"{folder} has no folder {' or '.join(names)}, which {whose} comes with; unpack it again")
