"""Files of boxes around persons in frames: CSV, JSON, or MOT as detectors and trackers write it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vitreid.service.errors import TableError
from vitreid.service.gallery.items import Box
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.image_labels import MAX_BOXES, FrameLabels
from vitreid.service.intake.labels import COLUMNS, Label, known_path, rows_of, with_cells
from vitreid.service.intake.mot import is_mot_line, read_mot
from vitreid.service.values.fields import number_of
from vitreid.service.values.messages import first_mistake

EDGES = ("left", "top", "right", "bottom")
COLUMNS_OF_BOXES = ("path", *EDGES, *COLUMNS[1:])

FrameBoxes = Iterator[tuple[str, PersonBox]]
"""Boxes with the paths of their frames."""


def read_boxes(source: BoxSource, paths: Collection[str]) -> dict[str, list[PersonBox]]:
    """Return the boxes of each frame, by its path (one of `paths`, relative to the folder of frames, with slashes).

    JSON is recognised by its suffix or first bracket, MOT by a first line of numbers; anything else is a CSV table.
    Frames without a box are left out. Raises TableError with file and line (JSON: the entry's number).
    """
    kind = _format_of(source.file)
    if kind != "MOT" and source != BoxSource(source.file, source.camera_id):
        raise TableError(f"{source.file} is a {kind} file; confidence, fps, start and track prefix are for MOT files")
    boxes: dict[str, list[PersonBox]] = {}
    for path, box in FORMATS[kind](source, paths):
        of_frame = boxes.setdefault(path, [])
        of_frame.append(box)
        if len(of_frame) > MAX_BOXES:
            raise TableError(f"{source.file}, {box.where}: {path!r} has over {MAX_BOXES} boxes; leave some out")
    return boxes


def read_csv(source: BoxSource, paths: Collection[str]) -> FrameBoxes:
    """A row per box: path,left,top,right,bottom and the columns of a table of labels. Raises TableError."""
    base = Label(camera_id=source.camera_id)
    for line, cells in rows_of(source.file, COLUMNS_OF_BOXES, required=("path", *EDGES)):
        where = f"{source.file}, line {line}"
        path = known_path(cells, where, paths)
        yield path, PersonBox(_edges(cells, where), with_cells(base, cells, where, EDGES), f"line {line}")


def read_json(source: BoxSource, paths: Collection[str]) -> FrameBoxes:
    """A list of frames or of boxes, each with its `path`, or a mapping from paths to frames or lists of boxes.

    A frame has `boxes` and what `POST /v1/items` takes beside them; a box is an object with `box`, or four numbers.
    Raises TableError.
    """
    for number, entry in enumerate(_entries(source.file), start=1):
        where = f"{source.file}, entry {number}"
        path = known_path({"path": str(entry.pop("path", ""))}, where, paths)
        try:
            frame = _FRAME.validate_python(_as_frame(entry))
        except ValidationError as error:
            raise TableError(f"{where} ({path}): {first_mistake(error, model=FrameLabels)}") from error
        if frame.camera_id is None:
            frame = frame.model_copy(update={"camera_id": source.camera_id})
        boxes = frame.person_boxes()
        if boxes is None:
            raise TableError(f"{where} ({path}): neither box nor boxes; a frame without persons has an empty list")
        for box in boxes:
            yield path, PersonBox(box.box, box.label, f"entry {number}, {box.where}")


FORMATS: dict[str, Callable[[BoxSource, Collection[str]], FrameBoxes]] = {
    "CSV": read_csv,
    "JSON": read_json,
    "MOT": read_mot,
}
_FRAME = TypeAdapter(FrameLabels)


def _format_of(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            first = next((line.strip() for line in lines if line.strip()), "")
    except OSError as error:
        raise TableError(f"{file} cannot be read ({error.strerror}); name a CSV, JSON or MOT file") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{file} is not text in UTF-8 ({error}); name a CSV, JSON or MOT file") from error
    if file.suffix.lower() == ".json" or first.startswith(("[", "{")):
        return "JSON"
    nothing = not first and file.suffix.lower() != ".csv"  # a tracker that detected nobody
    return "MOT" if nothing or is_mot_line(first) else "CSV"


def _edges(cells: dict[str, str], where: str) -> Box:
    try:
        left, top, right, bottom = (number_of(cells[name]) for name in EDGES)
    except KeyError as error:
        raise TableError(f"{where}: no value for {error.args[0]!r}; each box has {', '.join(EDGES)}") from error
    except ValueError as error:
        raise TableError(f"{where}: {error}; edges are numbers of pixels") from error
    return left, top, right, bottom


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list or mapping as objects with a path."""
    content = _load_json(file)
    if isinstance(content, dict):
        for path, value in content.items():
            entry = value if isinstance(value, dict) else {"boxes": value}
            if entry.get("path", path) != path:
                raise TableError(f"{file}: {path!r} has the path {entry['path']!r:.60}; leave one of the two out")
            yield {**entry, "path": path}
        return
    for number, entry in enumerate(content if isinstance(content, list) else [content], start=1):
        if not isinstance(entry, dict):
            raise TableError(f"{file}, entry {number} is not an object with a path and its boxes, but {entry!r:.40}")
        yield dict(entry)


def _load_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        raise TableError(f"{file}, line {error.lineno}: is not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # other bytes than UTF-8, a number of thousands of digits
        raise TableError(f"{file} is not JSON that can be read ({error})") from error


def _as_frame(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as a frame with boxes as objects: it may be one box, and a box four numbers."""
    if "box" in entry:
        return {"camera_id": entry.pop("camera_id", None), "boxes": [entry]}
    boxes = entry.get("boxes")
    if isinstance(boxes, list):
        return {**entry, "boxes": [{"box": each} if isinstance(each, list) else each for each in boxes]}
    return entry
