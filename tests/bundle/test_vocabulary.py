"""Names of labels; synonyms are refused with the right name."""

from __future__ import annotations

import pytest

from vitreid.bundle.vocabulary import LABELS, mistake_in_columns, right_name


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("camera", "camera_id"), ("cam", "camera_id"), ("camid", "camera_id"), ("Camera_ID", "camera_id"),
        ("pid", "person_id"), ("person", "person_id"), ("timestamp", "captured_at"), ("time", "captured_at"),
        ("date", "captured_at"), ("track", "track_id"), ("tracklet-id", "track_id"), ("id", "person_id or track_id"),
        ("site", None), ("note", None), *((label, None) for label in LABELS),
    ],
)  # fmt: skip
def test_synonyms(name: str, right: str | None) -> None:
    assert right_name(name) == right


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["path", "camera", "site"], "the column 'camera' is called camera_id here; rename it"),
        (["path;person_id"], "values are separated by ';'; save the table with commas"),
        (["path", ""], "column 2 has no name"),
        (["path", "site", "site"], "the column 'site' occurs twice"),
        (["file"], "the column 'file' is called path here"),
        (["site"], "no column 'path' among site"),
    ],
)
def test_faults_of_the_first_line(columns: list[str], message: str) -> None:
    assert (mistake_in_columns(columns, ["path"], example="path,camera_id") or "").startswith(message)
    assert mistake_in_columns(["path", "camera_id", "site", "file"], ["path"], example="") is None
