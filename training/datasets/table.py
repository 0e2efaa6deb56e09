"""A CSV of own data: path and person_id, and as wanted camera_id, view and split (train, query or gallery).

The names are those of the service's tables, whose track_id and captured_at may stand there and are not used.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from vitreid.bundle.cells import unescape_cell
from vitreid.bundle.vocabulary import LABELS, OLD_NAMES, mistake_in_columns
from vitreid.training.datasets.split import Sample, Split
from vitreid.training.errors import DataError

COLUMNS = ("path", *LABELS, "view", "split")
PARTS = ("train", "query", "gallery")


def read_table(file: Path) -> Split:
    """Read a CSV whose paths are relative to its folder; without a column split all images train.

    Spaces around a value do not count: "A" and "A " are one person. An empty camera or view is an unknown one, an empty
    person in the gallery nobody: a wrong answer to every query.
    """
    if not file.is_file():
        raise DataError(f"{file} is not a file; give the CSV itself, such as {file / 'images.csv'}")
    parts: dict[str, list[Sample]] = {name: [] for name in PARTS}
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, restkey="more")
            rows.fieldnames = _check_columns(file, rows.fieldnames or [])
            for row in rows:
                part, sample = _sample(file, rows.line_num, {key: _text(value) for key, value in row.items()})
                parts[part].append(sample)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV in UTF-8 ({error})") from error
    if not any(parts.values()):
        raise DataError(f"{file} has no rows; one is an image: {','.join(COLUMNS)}")
    return Split(*(tuple(parts[name]) for name in PARTS))


def _text(value: str | list[str] | None) -> str:
    return unescape_cell(value.strip()) if isinstance(value, str) else ""


def _check_columns(file: Path, columns: Sequence[str]) -> list[str]:
    """The columns by their names of today."""
    own = [OLD_NAMES.get(column.strip(), column.strip()) for column in columns]
    if mistake := mistake_in_columns(own, ("path", "person_id"), example="path,person_id,camera_id,split"):
        raise DataError(f"{file}, line 1: {mistake}")
    if unknown := [column for column in own if column not in COLUMNS]:
        raise DataError(f"{file} has a column {unknown[0]!r}, which means nothing here; take from {', '.join(COLUMNS)}")
    return own


def _sample(file: Path, line: int, row: Mapping[str, str]) -> tuple[str, Sample]:
    part = row.get("split") or "train"
    if "more" in row or not row["path"]:
        raise DataError(f"{file}, line {line}: a row needs a path and no more values than there are columns")
    if part not in PARTS:
        raise DataError(f"{file}, line {line}: split {part!r} is none of {', '.join(PARTS)}")
    if not row["person_id"] and part != "gallery":
        raise DataError(f"{file}, line {line}: the person is empty, which only an image of the gallery may be")
    path, person = file.parent / row["path"], row["person_id"]
    return part, Sample(path, person, row.get("camera_id") or None, row.get("view") or None)
