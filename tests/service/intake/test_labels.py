"""Labels from names and tables."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vitreid.service.errors import TableError
from vitreid.service.intake.labels import Label, label_of_name, read_table

PATHS = ["0002_c1s1_000451_03.jpg", "cam 2/b.png", "c.jpg"]


@pytest.fixture
def write(tmp_path: Path):
    def write_(text: str | bytes) -> Path:
        table = tmp_path / "table.csv"
        table.write_bytes(text if isinstance(text, bytes) else text.encode())
        return table

    return write_


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("0002_c1s1_000451_03.jpg", Label(person_id="0002", camera_id="c1")),
        ("0000_c3s1_000001_00.jpg", Label(camera_id="c3")),
        ("-1_c2s1_000001_00.jpg", Label(camera_id="c2")),
        ("holiday.jpg", Label()),
    ],
)
def test_names(name, label):
    assert label_of_name(name) == label


def test_a_table_adds_to_the_names_and_overrides_them(write):
    table = write(
        "\ufeffpath,person_id,camera_id,captured_at,track_id,door,note\r\n"
        "0002_c1s1_000451_03.jpg,9,,2026-11-20T09:00:00+09:00,t1,north,\r\n"
        '"./cam 2/b.png",-1,lobby,,,,"a, b"\r\n'
    )
    assert read_table(table, PATHS) == {
        PATHS[0]: Label("9", "c1", "t1", datetime(2026, 11, 20, tzinfo=UTC), {"door": "north"}),
        PATHS[1]: Label(None, "lobby", metadata={"note": "a, b"}),
        PATHS[2]: Label(),
    }


@pytest.mark.parametrize("nobody", ["0000", "-1"])
def test_a_table_can_say_nobody(nobody, write):
    assert read_table(write(f"path,person_id\n{PATHS[0]},{nobody}\n"), PATHS)[PATHS[0]] == Label(camera_id="c1")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "no column 'path' among none"),
        ("file,person_id\nc.jpg,1\n", 1, "the column 'file' is called path here"),
        ("door,person_id\nc.jpg,1\n", 1, "no column 'path' among door, person_id"),
        ("path,door,door\nc.jpg,1,2\n", 1, "'door' occurs twice"),
        ("path\nc.jpg\nd.jpg\n", 3, "no image 'd.jpg'"),
        ("path\n../c.jpg\n", 2, "no image '../c.jpg'"),
        ("path,person_id\nc.jpg\n", 2, "more or fewer cells"),
        ("path,person_id\nc.jpg,1,2\n", 2, "more or fewer cells"),
        ("path\nc.jpg\nc.jpg\n", 3, "row already in line 2"),
        ("path,captured_at\nc.jpg,yesterday\n", 2, "'yesterday'"),
        ("path,captured_at\nc.jpg,2026-11-20T08:00:00\n", 2, "with its offset"),
        ("path,captured_at\nc.jpg,0001-01-01T00:00:00+09:00\n", 2, "with its offset"),
    ],
)
def test_mistakes_are_reported_with_their_line(text, line, reason, write):
    table = write(text)
    with pytest.raises(TableError) as error:
        read_table(table, PATHS)
    assert str(error.value).startswith(f"{table}, line {line}:")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"path\n\xff\xfe.jpg\n", b'path\n"c.jpg\n'])
def test_what_is_no_table_is_reported(content, write):
    with pytest.raises(TableError, match="not a CSV table"):
        read_table(write(content), PATHS)


def test_a_missing_table_is_reported(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "none.csv", PATHS)


@pytest.mark.parametrize(
    ("header", "right"),
    [("camera", "camera_id"), ("timestamp", "captured_at"), ("person", "person_id"), ("id", "person_id or track_id"),
     ("Camera_ID", "camera_id"), ("track", "track_id"), ("date", "captured_at")],
)  # fmt: skip
def test_labels_by_other_names_are_refused_by_the_right_one(header, right, write):
    with pytest.raises(TableError, match=f"line 1: the column '{header}' is called {right} here"):
        read_table(write(f"path,{header}\nc.jpg,1\n"), PATHS)


def test_the_table_of_a_data_set_says_the_same_here(write):
    labels = read_table(write(" path ,person_id,camera_id,view,split\nc.jpg, anna ,c1,front,train\n"), PATHS)
    assert (labels["c.jpg"].person_id, labels["c.jpg"].camera_id) == ("anna", "c1")
    with pytest.raises(TableError, match="values are separated by ';'; save the table with commas"):
        read_table(write("path;person_id\nc.jpg;anna\n"), PATHS)
