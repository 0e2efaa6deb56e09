"""The names of labels in tables, box files, data sets and over HTTP."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

LABELS = ("person_id", "camera_id", "track_id", "captured_at")

SYNONYMS = {
    "path": ("image", "images", "file", "files", "filename", "filepath", "imagepath", "imagename", "img", "imgpath"),
    "person_id": ("person", "persons", "pid", "personid", "identity", "identityid", "subject", "subjectid"),
    "camera_id": ("camera", "cameras", "cam", "cid", "camid", "cameraid", "cameraname"),
    "track_id": ("track", "tracks", "tid", "trackid", "tracklet", "trackletid"),
    "captured_at": (
        "time", "times", "date", "datetime", "timestamp", "ts", "capturedat", "captured", "capturetime", "takenat",
        "recordedat",
    ),
    "person_id or track_id": ("id", "ids", "label"),
}  # fmt: skip
"""Other names of labels, refused with the right one. Compared without case and separators."""

OLD_NAMES = {"person": "person_id", "camera": "camera_id"}
"""Earlier column names of data set tables, which still work."""

_BY_SYNONYM = {synonym: name for name, synonyms in SYNONYMS.items() for synonym in synonyms}


def right_name(name: str) -> str | None:
    """Return the right name of the label that a synonym means; None for right names and for other words."""
    if name in (*LABELS, "path"):
        return None
    return _BY_SYNONYM.get(re.sub(r"[\W_]+", "", name.casefold()))


def mistake_in_columns(columns: Sequence[str], required: Collection[str], *, example: str) -> str | None:
    """Return the fault of a table's first line, with `example` as the remedy; None if there is none."""
    found = ", ".join(columns) or "none"
    if len(columns) == 1 and (separator := next((each for each in ";\t|" if each in columns[0]), None)):
        return f"values are separated by {separator!r}; save the table with commas, as in {example}"
    if "" in columns:
        return f"column {columns.index('') + 1} has no name; the first line names every column, as in {example}"
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        return f"the column {twice!r} occurs twice; rename one"
    for column in columns:
        right = right_name(column)
        if right and not (right == "path" and "path" in columns):
            return f"the column {column!r} is called {right} here; rename it, or choose another name if it is no label"
    if missing := next((name for name in required if name not in columns), None):
        return f"no column {missing!r} among {found}; the first line names the columns, as in {example}"
    return None
