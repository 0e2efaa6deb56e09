"""A CSV of own data: columns path and person, and as wanted camera, view and split (train, query or gallery)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.datasets.split import Sample, Split
from training.errors import DataError

COLUMNS = ("path", "person", "camera", "view", "split")
PARTS = ("train", "query", "gallery")


def read_table(file: Path) -> Split:
    """Read a CSV whose paths are relative to its folder; without a column split all pictures train.

    An empty camera or view is an unknown one, an empty person in the gallery nobody: a wrong answer to every query.
    """
    if not file.is_file():
        raise DataError(f"{file} is not a file; give the CSV itself, such as {file / 'pictures.csv'}")
    parts: dict[str, list[Sample]] = {name: [] for name in PARTS}
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, restkey="more")
            _check_columns(file, rows.fieldnames or [])
            for row in rows:
                part, sample = _sample(file, rows.line_num, {key: (value or "") for key, value in row.items()})
                parts[part].append(sample)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV in UTF-8 ({error})") from error
    if not any(parts.values()):
        raise DataError(f"{file} has no rows; one is a picture: {','.join(COLUMNS)}")
    return Split(*(tuple(parts[name]) for name in PARTS))


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    for column in ("path", "person"):
        if column not in columns:
            raise DataError(f"{file} has no column {column!r}; its first line names columns of {', '.join(COLUMNS)}")
    if unknown := [column for column in columns if column not in COLUMNS]:
        raise DataError(f"{file} has a column {unknown[0]!r}, which means nothing here; take from {', '.join(COLUMNS)}")


def _sample(file: Path, line: int, row: Mapping[str, str]) -> tuple[str, Sample]:
    part = row.get("split", "train")
    if "more" in row or not row["path"]:
        raise DataError(f"{file}, line {line}: a row needs a path and no more values than there are columns")
    if part not in PARTS:
        raise DataError(f"{file}, line {line}: split {part!r} is none of {', '.join(PARTS)}")
    if not row["person"] and part != "gallery":
        raise DataError(f"{file}, line {line}: the person is empty, which only a picture of the gallery may be")
    sample = Sample(file.parent / row["path"], row["person"], row.get("camera") or None, row.get("view") or None)
    return part, sample
