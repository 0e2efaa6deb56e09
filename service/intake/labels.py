"""Labels of images: person, camera, track and time, from file names or from a table (CSV)."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import JsonValue

from vitreid.bundle import parse_market_name
from vitreid.bundle.cells import unescape_cell
from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.market_names import NOBODY
from vitreid.bundle.name_pattern import NamePattern
from vitreid.bundle.vocabulary import mistake_in_columns
from vitreid.service.errors import TableError
from vitreid.service.gallery.metadata import check_metadata
from vitreid.service.values.texts import label_fault
from vitreid.service.values.times import parse_time

COLUMNS = ("path", "person_id", "camera_id", "captured_at", "track_id")
LABELS = ("person_id", "camera_id", "track_id")


@dataclass(frozen=True)
class Label:
    """The labels of one image."""

    person_id: str | None = None
    camera_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


def label_of_name(name: str, camera_id: str | None = None) -> Label:
    """Return person and camera of a Market-style file name, else an empty label; a given camera takes precedence."""
    market = parse_market_name(name)
    if market is None:
        return Label(camera_id=camera_id)
    return Label(person_id=market.person_id, camera_id=camera_id or market.camera_id)


def labels_of_names(
    paths: Collection[str], *, camera_id: str | None = None, pattern: NamePattern | None = None
) -> dict[str, Label]:
    """Return labels by path from the names of files and folders: by a pattern, or Market-1501's.

    A given camera takes precedence over a Market-style name; a pattern over a given camera. Raises NamePatternError.
    """
    if pattern is None:
        return {path: label_of_name(Path(path).name, camera_id) for path in paths}
    labels = {
        path: Label(each.person_id, each.camera_id or camera_id, each.track_id, each.captured_at)
        for path, each in zip(paths, pattern.read_all(list(paths)), strict=True)
    }
    for path, label in labels.items():
        for name in LABELS:
            if (fault := label_fault(getattr(label, name) or "-")) is not None:
                raise NamePatternError(f"{path}: {name} {fault}; rename it, or give labels in a table")
    return labels


def read_table(
    table: Path, paths: Collection[str], *, camera_id: str | None = None, pattern: NamePattern | None = None
) -> dict[str, Label]:
    """Return labels by path, for all `paths` (relative to the folder, with slashes), from names and a CSV table.

    Names are read by a pattern where one is given. The table needs the column `path`; `person_id`, `camera_id`,
    `captured_at` (RFC 3339 with its offset) and `track_id` are optional, misspelt names of them
    are refused, and any other column becomes metadata. An empty cell leaves the label of the name or `camera_id`; the
    persons -1 and 0000 are nobody. Paths without a row have the labels of their names.

    Raises TableError with the line of the first mistake.
    """
    labels = labels_of_names(paths, camera_id=camera_id, pattern=pattern)
    lines: dict[str, int] = {}
    for line, cells in rows_of(table, COLUMNS, required=COLUMNS[:1]):
        where = f"{table}, line {line}"
        path = known_path(cells, where, labels)
        if path in lines:
            raise TableError(f"{where}: {path!r} has a row already in line {lines[path]}; remove one of them")
        lines[path] = line
        labels[path] = with_cells(labels[path], cells, where)
    return labels


def rows_of(table: Path, columns: Sequence[str], *, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the cells by column, without the empty ones, of each row of a CSV table.

    `columns` are those that an error gives as an example. Raises TableError.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            if mistake := mistake_in_columns(reader.fieldnames, required, example=",".join(columns)):
                raise TableError(f"{table}, line 1: {mistake}")
            for row in reader:
                # DictReader puts cells without a column under the key None, and None into columns without a cell.
                if None in row or None in row.values():
                    raise TableError(
                        f"{table}, line {reader.line_num}: the row has more or fewer cells than the first line names; "
                        "quote cells with commas"
                    )
                yield reader.line_num, {name: unescape_cell(cell.strip()) for name, cell in row.items() if cell.strip()}
    except OSError as error:
        raise TableError(f"{table} cannot be read ({error.strerror}); name a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{table} is not a CSV table in UTF-8 ({error}); save it as one") from error


def known_path(cells: Mapping[str, str], where: str, known: Collection[str]) -> str:
    """Return the path of a row. Raises TableError if no image has it."""
    path = Path(cells.get("path", "")).as_posix()
    if path not in known:
        raise TableError(
            f"{where}: no image {cells.get('path', '')!r} in the folder; paths are relative to it, as in cam1/a.jpg"
        )
    return path


def with_cells(label: Label, cells: Mapping[str, str], where: str, others: Collection[str] = ()) -> Label:
    """Return a label updated by a row; columns that are neither labels nor `others` become metadata.

    Raises TableError.
    """
    for name in LABELS:
        if (fault := label_fault(cells.get(name, "-"))) is not None:
            raise TableError(f"{where}: {name} {fault}")
    person_id = cells.get("person_id", label.person_id)
    metadata: dict[str, JsonValue] = {name: cell for name, cell in cells.items() if name not in {*COLUMNS, *others}}
    try:
        check_metadata(metadata)
    except ValueError as error:
        raise TableError(f"{where}: what is left for metadata {error}; leave columns out") from error
    return replace(
        label,
        person_id=None if person_id in NOBODY else person_id,
        camera_id=cells.get("camera_id", label.camera_id),
        track_id=cells.get("track_id", label.track_id),
        captured_at=_time(cells["captured_at"], where) if "captured_at" in cells else label.captured_at,
        metadata=metadata,
    )


def _time(text: str, where: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as error:
        raise TableError(f"{where}: captured_at: {error}") from error


AHEAD = timedelta(days=1)  # a maintained clock is not wrong by more
LONG_AGO = timedelta(days=365 * 30)


def time_warning(captured_at: datetime | None, *, now: datetime, retention_days: float | None) -> str | None:
    """Return the doubt about a time as a sentence part, or None."""
    if captured_at is None:
        return None
    age = now - captured_at
    shown = f"captured_at {captured_at.isoformat()}"
    if -age > AHEAD:
        return f"{shown} lies in the future; check the camera's clock"
    if retention_days is not None and age.total_seconds() > retention_days * 86_400:
        return f"{shown} is older than the {retention_days:g} days of retention; it is erased soon"
    if age > LONG_AGO:
        return f"{shown} is over 30 years ago; check the camera's clock"
    return None


SHOWN = 3


@dataclass(frozen=True)
class LabelSummary:
    """Counts of labels; `examples` are some of them with the paths of their images."""

    images: int
    persons: int
    cameras: int
    tracks: int
    without_person: int
    without_camera: int
    without_time: int
    first: datetime | None
    last: datetime | None
    examples: tuple[tuple[str, Label], ...]

    @classmethod
    def of(cls, labels: Iterable[tuple[str, Label]]) -> LabelSummary:
        """Count labels that come with the paths of their images."""
        every = list(labels)
        persons, cameras, tracks = (
            [getattr(label, name) for _, label in every] for name in ("person_id", "camera_id", "track_id")
        )
        times = [label.captured_at for _, label in every if label.captured_at is not None]
        return cls(
            images=len(every),
            persons=len(set(persons) - {None}),
            cameras=len(set(cameras) - {None}),
            tracks=len(set(tracks) - {None}),
            without_person=persons.count(None),
            without_camera=cameras.count(None),
            without_time=len(every) - len(times),
            first=min(times, default=None),
            last=max(times, default=None),
            examples=tuple(every[:SHOWN]),
        )
