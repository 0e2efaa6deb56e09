"""Files of boxes in their formats, and the messages about wrong ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vitreid.service.errors import TableError
from vitreid.service.intake import box_files
from vitreid.service.intake.box_files import FORMATS, read_boxes
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.labels import Label

PATHS = ["cam1/000001.jpg", "cam1/000002.jpg"]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
Write = Callable[..., BoxSource]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_(text: str | bytes, name: str = "boxes.csv", **options: Any) -> BoxSource:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return BoxSource(tmp_path / name, **options)

    return write_


def test_a_csv_has_a_row_per_box(write: Write) -> None:
    source = write(
        "\ufeffpath,left,top,right,bottom,person_id,camera_id,track_id,captured_at,lamp\r\n"
        "cam1/000002.jpg,10,20.5,30,90,anna,,t1,2026-05-01T14:00:00+02:00,\r\n"
        "./cam1/000001.jpg,-5,0,nan,8,0000,gate,,,on\r\n"
        "cam1/000002.jpg,1,2,3,4,,,,,\r\n",
        camera_id="lobby",
    )
    boxes = read_boxes(source, PATHS)
    assert list(boxes) == [PATHS[1], PATHS[0]]
    assert boxes[PATHS[1]] == [
        PersonBox((10, 20.5, 30, 90), Label("anna", "lobby", "t1", NOON), "line 2"),
        PersonBox((1, 2, 3, 4), Label(None, "lobby"), "line 4"),
    ]
    [odd] = boxes[PATHS[0]]
    assert (odd.label, odd.where) == (Label(None, "gate", metadata={"lamp": "on"}), "line 3")
    assert str(odd.box) == "(-5.0, 0.0, nan, 8.0)"


LABELLED: dict[str, Any] = {"person_id": "anna", "track_id": "t1", "metadata": {"lamp": 1}}


@pytest.mark.parametrize(
    "content",
    [
        [
            {
                "path": PATHS[0],
                "camera_id": "gate",
                "boxes": [{"box": [1, 2, 3, 4], **LABELLED}, {"box": [5, 6, 7, 8]}],
            },
            {"path": PATHS[1], "boxes": []},
        ],
        [
            {"path": PATHS[0], "camera_id": "gate", "box": [1, 2, 3, 4], **LABELLED},
            {"path": PATHS[0], "camera_id": "gate", "box": [5, 6, 7, 8]},
        ],
        {PATHS[0]: {"camera_id": "gate", "boxes": [LABELLED | {"box": [1, 2, 3, 4]}, [5, 6, 7, 8]]}, PATHS[1]: []},
    ],
    ids=["frames", "boxes", "mapping"],
)
def test_json_is_a_list_of_frames_or_boxes_or_a_mapping(content: object, write: Write) -> None:
    for text in (json.dumps(content), json.dumps(content, indent=2)):
        boxes = read_boxes(write(text, "boxes.txt", camera_id="lobby"), PATHS)
        assert list(boxes) == [PATHS[0]]
        assert [(each.box, each.label) for each in boxes[PATHS[0]]] == [
            ((1, 2, 3, 4), Label("anna", "gate", "t1", metadata={"lamp": 1})),
            ((5, 6, 7, 8), Label(None, "gate")),
        ]


def test_a_frame_without_a_camera_gets_the_given_one(write: Write) -> None:
    [box] = read_boxes(write(json.dumps({PATHS[0]: [[1, 2, 3, 4]]}), camera_id="lobby"), PATHS)[PATHS[0]]
    assert box == PersonBox((1, 2, 3, 4), Label(None, "lobby"), "entry 1, box 0")


def test_the_content_says_which_format_it_is(write: Write) -> None:
    mot = "1,7,11,21,20,70,0.9,-1,-1,-1\n"
    assert read_boxes(write(mot, "det.csv"), PATHS) == read_boxes(write(mot, "det.txt"), PATHS)
    assert read_boxes(write(mot, "det"), PATHS)[PATHS[0]][0].box == (10, 20, 30, 90)
    assert set(FORMATS) >= {"CSV", "JSON", "MOT"}


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("left,top,right,bottom\n", "line 1", "no column 'path'"),
        ("path,left,top,right\n", "line 1", "no column 'bottom' among path, left, top, right"),
        ("path,left,top,right,bottom\ncam1/000001.jpg,1,2,3,\n", "line 2", "no value for 'bottom'"),
        ("path,left,top,right,bottom\n\ncam1/000001.jpg,1,2,3,wide\n", "line 3", "'wide'"),
        ("path,left,top,right,bottom\ncam2/000001.jpg,1,2,3,4\n", "line 2", "no image 'cam2/000001.jpg'"),
        ("path,left,top,right,bottom\n,1,2,3,4\n", "line 2", "no image ''"),
        ("path,left,top,right,bottom\ncam1/000001.jpg,1,2,3\n", "line 2", "more or fewer cells"),
        ("path,left,top,right,bottom,captured_at\ncam1/000001.jpg,1,2,3,4,noon\n", "line 2", "'noon'"),
        ('[{"path": "cam1/000001.jpg",\n "box": [1,2,3,4]},\n', "line 3", "is not JSON"),
        ('[{"path": "cam1/000001.jpg", "box": [1,2,3]}]', "entry 1", "boxes[0].box"),
        ('[{"path": "cam1/000001.jpg", "boxes": [{"box": [1,2,3,4], "age": 3}]}]', "entry 1", "boxes[0].age"),
        ('[{"path": "cam1/000001.jpg", "boxes": 3}]', "entry 1", "boxes"),
        ('[{"path": "cam1/000001.jpg", "person_id": "anna", "boxes": []}]', "entry 1", "to its boxes"),
        (
            '[{"path": "cam1/000001.jpg", "box": [1,2,3,4], "captured_at": "2026-05-01T12:00:00"}]',
            "entry 1",
            "expected RFC 3339",
        ),
        ('[{"path": "none.jpg", "box": [1,2,3,4]}]', "entry 1", "no image 'none.jpg'"),
        ('[{"box": [1,2,3,4]}]', "entry 1", "no image ''"),
        ("[3]", "entry 1", "not an object"),
        ("{", "line 1", "is not JSON"),
        ('{"cam1/000001.jpg": null}', "entry 1", "neither box nor boxes"),
        ('{"cam1/000001.jpg": "box"}', "entry 1", "boxes"),
    ],
)
def test_mistakes_are_reported_with_file_and_place(text: str, place: str, reason: str, write: Write) -> None:
    source = write(text)
    with pytest.raises(TableError) as error:
        read_boxes(source, PATHS)
    assert str(error.value).startswith(f"{source.file}, {place}")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"path,left\n\xff", b"[\xff]", b"\xff"])
def test_what_is_no_text_is_reported(content: bytes, write: Write) -> None:
    with pytest.raises(TableError, match=r"UTF-8|not JSON"):
        read_boxes(write(content), PATHS)


def test_deep_json_is_reported(write: Write) -> None:
    with pytest.raises(TableError, match="JSON"):
        read_boxes(write("[" * 100_000), PATHS)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.csv cannot be read"):
        read_boxes(BoxSource(tmp_path / "none.csv"), PATHS)


@pytest.mark.parametrize("options", [{"fps": 25.0, "start": NOON}, {"min_confidence": 0.5}, {"track_prefix": "a"}])
def test_what_is_for_mot_is_refused_elsewhere(options: dict[str, Any], write: Write) -> None:
    with pytest.raises(TableError, match="is a CSV file"):
        read_boxes(write("path,left,top,right,bottom\n", **options), PATHS)


def test_too_many_boxes_of_one_frame_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_files, "MAX_BOXES", 2)
    rows = [f"{path},1,2,3,4\n" for path in (*PATHS, *PATHS, PATHS[0])]
    with pytest.raises(TableError, match=r"line 6: 'cam1/000001.jpg' has over 2 boxes"):
        read_boxes(write("path,left,top,right,bottom\n" + "".join(rows)), PATHS)


def test_an_empty_file_of_a_tracker_has_no_boxes(write: Write) -> None:
    assert read_boxes(write("", "cam1.txt"), PATHS) == {}
    with pytest.raises(TableError, match="no column 'path'"):
        read_boxes(write("", "boxes.csv"), PATHS)


@pytest.mark.parametrize(("name", "right"), [("camera", "camera_id"), ("timestamp", "captured_at")])
def test_labels_by_other_names_are_refused_by_the_right_one(name: str, right: str, write: Write) -> None:
    frame = {"path": PATHS[0], name: "1", "boxes": [[0, 0, 9, 9]]}
    with pytest.raises(TableError, match=f"{name} is called {right} here; rename it"):
        read_boxes(write(json.dumps([frame]), "boxes.json"), PATHS)
    with pytest.raises(TableError, match=f"line 1: the column '{name}' is called {right} here"):
        read_boxes(write(f"path,left,top,right,bottom,{name}\n{PATHS[0]},0,0,9,9,1\n"), PATHS)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "a.json",
            f'[{{"path": "a", "box": [0, 0, 1, 1], "metadata": {{"n": {"1" * 5000}}}}}]',
            "is not JSON that can",
        ),
        ("a.json", f'{{"{PATHS[0]}": {{"path": "{PATHS[1]}", "boxes": []}}}}', "has the path 'cam1/000002.jpg'; leave"),
        ("a.csv", f"path,left,top,right,bottom\n{PATHS[0]},0,0,1_0,20\n", "'1_0' is not a number in digits"),
    ],
)
def test_what_two_readers_could_read_otherwise_is_refused(write: Write, name: str, text: str, reason: str) -> None:
    with pytest.raises(TableError, match=reason):
        read_boxes(write(text, name), PATHS)
