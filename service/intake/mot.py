"""MOT files: detections, ground truth and tracks as MOTChallenge has them, one line per box.

A line is `frame,id,left,top,width,height[,confidence[,...]]`. Frames and coordinates count from 1, and the id -1
means that there is no track. Ground truth has nine values; its seventh is a flag, and 0 says that a box is not to
count. See https://motchallenge.net/instructions/ and Milan et al., "MOT16", arXiv:1603.00831.

BoxMOT writes nine values, too, but of tracks, with spaces or commas between them: the class is the eighth, and the
confidence the seventh before a -1 (where it may be rounded to 0), or the ninth after a class 0. An empty file is
valid: nobody was detected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from vitreid.service.errors import TableError
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.labels import Label
from vitreid.service.values.fields import number_of
from vitreid.service.values.texts import label_fault

TRUTH_VALUES = 9
LARGEST = 2**53
"""Of whole numbers: beyond it two ids may be read as one."""


def is_mot_line(line: str) -> bool:
    """Return whether a line consists of six numbers or more."""
    values = _split(line)
    try:
        return len(values) >= 6 and all(number_of(value) is not None for value in values)
    except ValueError:
        return False


def read_mot(source: BoxSource, paths: Collection[str]) -> Iterator[tuple[str, PersonBox]]:
    """Yield boxes with the paths of their frames, which are matched by the last number in the file's name.

    Boxes whose seventh value is 0 or below `min_confidence` are left out. Raises TableError with the line.
    """
    if (source.fps is None) != (source.start is None):
        raise TableError(f"{source.file}: give both fps and start, or neither; together they give times")
    if source.fps is not None and not 0 < source.fps < float("inf"):
        raise TableError(f"fps is {source.fps}; allowed are numbers over 0, as in 25")
    frames = _by_number(paths)
    for number, line in _lines(source.file):
        if not line.strip():
            continue
        where = f"{source.file}, line {number}"
        values = _values(line, where)
        confidence = _confidence(values)
        if confidence is not None and not math.isfinite(confidence):
            raise TableError(f"{where}: confidence is {confidence}; expected a finite number")
        if _left_out(values, confidence, source.min_confidence, where):
            continue
        frame = _whole(values[0], "frame", where)
        path = _frame_path(frame, frames, where)
        left, top, width, height = values[2] - 1, values[3] - 1, values[4], values[5]
        label = Label(
            camera_id=source.camera_id,
            track_id=_track_of(values[1], source, where),
            captured_at=_time_of(frame, source, where),
            metadata={} if confidence is None else {"confidence": confidence},
        )
        yield path, PersonBox((left, top, left + width, top + height), label, f"line {number}")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            yield from enumerate(lines, start=1)
    except UnicodeDecodeError as error:
        raise TableError(f"{file} is not text in UTF-8 ({error}); save it as one") from error


def _split(line: str) -> list[str]:
    return [value.strip() for value in line.split(",")] if "," in line else line.split()


def _values(line: str, where: str) -> list[float]:
    values = _split(line)
    if len(values) < 6:
        raise TableError(f"{where}: {len(values)} values; a line has frame,id,left,top,width,height and more")
    try:
        return [number_of(value) for value in values]
    except ValueError as error:
        raise TableError(f"{where}: {error}; a line has numbers with commas or spaces between them") from error


def _is_truth(values: Sequence[float]) -> bool:
    """Return whether a line is ground truth: with a flag, a class from 1 and the visible share of the person."""
    return len(values) == TRUTH_VALUES and values[8] != -1 and values[7] != 0


def _confidence(values: Sequence[float]) -> float | None:
    """Return a detector's confidence, if the line has one."""
    if len(values) < 7 or _is_truth(values):
        return None
    if len(values) != TRUTH_VALUES:
        return None if values[6] == -1 else values[6]
    return (values[6] or None) if values[8] == -1 else values[8]


def _left_out(values: Sequence[float], confidence: float | None, minimum: float | None, where: str) -> bool:
    tracked = len(values) == TRUTH_VALUES and not _is_truth(values)
    if tracked and minimum is not None and confidence is None:
        raise TableError(
            f"{where}: the confidence is rounded to 0, so none can be compared; leave --min-confidence out"
        )
    if not tracked and len(values) > 6 and values[6] == 0:
        return True
    # As MOTChallenge has it, the seventh value counts, also where it is -1 or a flag.
    value = confidence if tracked else values[6] if len(values) > 6 else None
    return minimum is not None and value is not None and not value >= minimum


def _whole(value: float, name: str, where: str) -> int:
    if not value.is_integer() or abs(value) > LARGEST:
        raise TableError(f"{where}: {name} is {value:g}; allowed are whole numbers up to {LARGEST}")
    return int(value)


def _track_of(value: float, source: BoxSource, where: str) -> str | None:
    number = _whole(value, "id", where)
    track = f"{source.track_prefix}{number}"
    if (fault := label_fault(track)) is not None:
        raise TableError(f"{where}: track_id {fault}; give another --track-prefix")
    return None if number == -1 else track


def _by_number(paths: Collection[str]) -> dict[int, list[str]]:
    frames: dict[int, list[str]] = {}
    for path in paths:
        if numbers := re.findall(r"\d+", PurePosixPath(path).stem):
            frames.setdefault(int(numbers[-1]), []).append(path)
    return frames


def _frame_path(frame: int, frames: dict[int, list[str]], where: str) -> str:
    found = frames.get(frame, [])
    if not found:
        raise TableError(f"{where}: no image with the number {frame} in the folder; names are like img1/000001.jpg")
    if len(found) > 1:
        raise TableError(
            f"{where}: {found[0]!r} and {found[1]!r} both have the number {frame}; index one camera's folder at a time"
        )
    return found[0]


def _time_of(frame: int, source: BoxSource, where: str) -> datetime | None:
    if source.fps is None or source.start is None:
        return None
    try:
        return (source.start + timedelta(seconds=(frame - 1) / source.fps)).astimezone(UTC)
    except OverflowError as error:
        raise TableError(
            f"{where}: frame {frame} at {source.fps:g} frames per second is after the year 9999"
        ) from error
