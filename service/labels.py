"""Who stands before which camera, and when: from Market-style file names or from a table (CSV)."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from bundle import parse_market_name
from service.errors import TableError

NOBODY = ("-1", "0000")
"""A person_id that says that the picture shows nobody in particular."""

COLUMNS = ("path", "person_id", "camera_id", "captured_at", "track_id")


@dataclass(frozen=True)
class Label:
    """What is known about one picture."""

    person_id: str | None = None
    camera_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


def label_of_name(name: str) -> Label:
    """Person and camera from a Market-style file name; an empty label from any other."""
    market = parse_market_name(name)
    return Label() if market is None else Label(person_id=market.person_id, camera_id=market.camera_id)


def read_table(table: Path, paths: Collection[str]) -> dict[str, Label]:
    """Labels by path, for all `paths` (relative to the folder of images, with slashes), from names and a CSV table.

    The table needs the column `path`; `person_id`, `camera_id`, `captured_at` (RFC 3339 with its offset) and
    `track_id` are taken where they are there, and any other column becomes metadata. An empty cell leaves what the
    name says; the persons -1 and 0000 are nobody. Paths without a row keep the labels of their names.

    Raises TableError with the line of the first mistake.
    """
    labels = {path: label_of_name(Path(path).name) for path in paths}
    lines: dict[str, int] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(table, reader.fieldnames or ())
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                path = _path_of(row, where, labels, lines)
                lines[path] = reader.line_num
                labels[path] = _with_row(labels[path], row, where)
    except OSError as error:
        raise TableError(f"{table} cannot be read ({error.strerror}); name a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{table} is not a CSV table in UTF-8 ({error}); save it as one") from error
    return labels


def _check_header(table: Path, names: Iterable[str]) -> None:
    found = list(names)
    if "path" not in found:
        raise TableError(
            f"{table}, line 1: no column 'path' among {', '.join(found) or 'none'}; "
            f"the first line names the columns, as in {','.join(COLUMNS)}"
        )
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise TableError(f"{table}, line 1: the column {twice[0]!r} is there twice; rename one")


def _path_of(row: Mapping[str, str], where: str, known: Collection[str], lines: Mapping[str, int]) -> str:
    cells = row.values()
    # DictReader puts cells without a column under the key None, and None into columns without a cell.
    if None in row or None in cells:
        raise TableError(f"{where}: the row has more or fewer cells than the first line names; quote cells with commas")
    path = Path(row["path"].strip()).as_posix()
    if path not in known:
        raise TableError(f"{where}: no image {row['path']!r} in the folder; paths are relative to it, as in cam1/a.jpg")
    if path in lines:
        raise TableError(f"{where}: {path!r} has a row already in line {lines[path]}; keep one of them")
    return path


def _with_row(label: Label, row: Mapping[str, str], where: str) -> Label:
    cells = {name: cell.strip() for name, cell in row.items() if cell.strip()}
    person_id = cells.get("person_id", label.person_id)
    return replace(
        label,
        person_id=None if person_id in NOBODY else person_id,
        camera_id=cells.get("camera_id", label.camera_id),
        track_id=cells.get("track_id"),
        captured_at=_time(cells["captured_at"], where) if "captured_at" in cells else None,
        metadata={name: cell for name, cell in cells.items() if name not in COLUMNS},
    )


def _time(text: str, where: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("no offset")
        return time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TableError(
            f"{where}: captured_at is {text!r}; allowed are times with their offset, as in 2026-11-20T08:15:00Z"
        ) from error
