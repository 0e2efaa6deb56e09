"""MOT files: detections, ground truth and tracks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from vitreid.service.errors import TableError
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.mot import is_mot_line, read_mot

PATHS = ["img1/000001.jpg", "img1/000002.jpg", "img1/000010.jpg", "map.png"]
Read = Callable[..., list[tuple[str, PersonBox]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_(text: str, paths: list[str] = PATHS, **options: Any) -> list[tuple[str, PersonBox]]:
        (tmp_path / "mot.txt").write_text(text)
        source = BoxSource(tmp_path / "mot.txt", **options)
        return list(read_mot(source, paths))

    return read_


def test_detections_have_a_confidence_and_no_track(read: Read) -> None:
    [(path, box), (second, _)] = read("1,-1,11.5,21,20,70,0.25,-1,-1,-1\n\n10, -1, 1, 1, 9, 9, 0.75\n")
    assert (path, second) == ("img1/000001.jpg", "img1/000010.jpg")
    assert box.box == (10.5, 20, 30.5, 90)
    assert (box.label.track_id, box.label.metadata, box.where) == (None, {"confidence": 0.25}, "line 1")


@pytest.mark.parametrize(("least", "kept"), [(None, 3), (0.25, 3), (0.5, 2), (0.9, 0)])
def test_detections_below_a_confidence_are_left_out(least: float | None, kept: int, read: Read) -> None:
    text = "".join(f"1,-1,11,21,20,70,{confidence},-1,-1,-1\n" for confidence in (0.25, 0.5, 0.75))
    assert len(read(text, min_confidence=least)) == kept


def test_tracks_keep_their_ids(read: Read) -> None:
    text = "1,7,11,21,20,70,-1,-1,-1,-1\n2,7.0,11,21,20,70,1,-1,-1,-1\n2,8,1,1,9,9\n"
    assert [box.label.track_id for _, box in read(text)] == ["7", "7", "8"]
    assert [box.label.track_id for _, box in read(text, track_prefix="monday-")] == ["monday-7", "monday-7", "monday-8"]
    assert [box.label.metadata for _, box in read(text)] == [{}, {"confidence": 1.0}, {}]


def test_ground_truth_that_is_not_to_count_is_left_out(read: Read) -> None:
    text = "1,1,11,21,20,70,1,1,0.8\n1,2,11,21,20,70,0,7,1\n2,1,12,21,20,70,1,1,0.9\n"
    assert [(path, box.label.track_id, box.label.metadata) for path, box in read(text)] == [
        (PATHS[0], "1", {}),
        (PATHS[1], "1", {}),
    ]


@pytest.mark.parametrize(
    ("line", "confidence"),
    [
        ("1 7 11 21 20 70 0 0 -1", {}),  # written with whole numbers: rounded down
        ("1 7 11 21 20 70 0.87 0 -1", {"confidence": 0.87}),
        ("1,7,11,21,20,70,0.87,0,-1", {"confidence": 0.87}),
        ("1,7,11,21,20,70,1,0,0.870000", {"confidence": 0.87}),
    ],
)
def test_tracks_of_boxmot(line: str, confidence: dict[str, float], read: Read) -> None:
    [(path, box)] = read(f"{line}\n")
    assert (path, box.box) == (PATHS[0], (10, 20, 30, 90))
    assert (box.label.track_id, box.label.metadata) == ("7", confidence)
    if confidence:
        assert read(f"{line}\n", min_confidence=0.9) == []
    else:
        with pytest.raises(TableError, match=r"line 1: the confidence is rounded to 0.*leave --min-confidence out"):
            read(f"{line}\n", min_confidence=0.9)


def test_frames_get_cameras_and_times(read: Read) -> None:
    start = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    found = read("1,1,1,1,9,9\n10,1,1,1,9,9\n", camera_id="gate", fps=2.0, start=start)
    assert [box.label.captured_at for _, box in found] == [
        datetime(2026, 5, 1, 12, tzinfo=UTC),
        datetime(2026, 5, 1, 12, 0, 4, 500_000, tzinfo=UTC),
    ]
    assert {box.label.camera_id for _, box in found} == {"gate"}
    assert {box.label.captured_at for _, box in read("1,1,1,1,9,9\n")} == {None}


def test_odd_boxes_are_left_to_whoever_cuts_them(read: Read) -> None:
    [(_, box), (_, other)] = read("1,1,nan,1,9,9\n1,1,5,5,-2,9\n")
    assert str(box.box[0]) == "nan"
    assert other.box == (4, 4, 2, 13)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("1,1,1,1,9\n", 1, "5 values"),
        ("1,1,1,1,9,9\n1,1,x,1,9,9\n", 2, "'x'"),
        ("1,1,1,1,9,9\n\n3,1,1,1,9,9\n", 3, "no image with the number 3"),
        ("1.5,1,1,1,9,9\n", 1, "frame is 1.5"),
        ("nan,1,1,1,9,9\n", 1, "frame is nan"),
        ("1,0.5,1,1,9,9\n", 1, "id is 0.5"),
        ("1,inf,1,1,9,9\n", 1, "id is inf"),
    ],
)
def test_mistakes_are_reported_with_their_line(text: str, line: int, reason: str, read: Read, tmp_path: Path) -> None:
    with pytest.raises(TableError) as error:
        read(text)
    assert str(error.value).startswith(f"{tmp_path / 'mot.txt'}, line {line}:")
    assert reason in str(error.value)


def test_two_files_of_one_number_are_reported_where_it_is_asked_for(read: Read) -> None:
    paths = ["a/000001.jpg", "b/1.png", "a/2.jpg"]
    assert len(read("2,1,1,1,9,9\n", paths)) == 1
    with pytest.raises(TableError, match="both have the number 1; index one camera's folder"):
        read("1,1,1,1,9,9\n", paths)


@pytest.mark.parametrize(
    "options", [{"fps": 25.0}, {"start": datetime(2026, 5, 1, tzinfo=UTC)}, {"fps": 0.0, "start": datetime.now(UTC)}]
)
def test_times_need_a_start_and_frames_per_second(options: dict[str, Any], read: Read) -> None:
    with pytest.raises(TableError, match="fps"):
        read("1,1,1,1,9,9\n", **options)


def test_times_out_of_the_calendar_are_reported(read: Read) -> None:
    with pytest.raises(TableError, match="line 1: frame 10"):
        read("10,1,1,1,9,9\n", fps=1e-12, start=datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "mot"),
    [
        ("1,-1,10.5,2e1,30,+4,.5,-1,-1,-1", True),
        (" 1, 2, 3, 4, 5, nan ", True),
        ("1 7 10 20 30 70 0 0 -1", True),
        ("1\t7\t10\t20\t30\t70", True),
        ("1,2,3,4,5", False),
        ("path,left,top,right,bottom,person_id", False),
        ("1,2,3,4,5,", False),
        ("", False),
    ],
)
def test_a_line_of_six_numbers_is_mot(line: str, mot: bool) -> None:
    assert is_mot_line(line) is mot


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,\xff,11,21,20,70", "is not text in UTF-8"),
        (b"1,1e300,11,21,20,70", "id is 1e\\+300; allowed are whole numbers up to 9007199254740992"),
        (b"1,1_0,11,21,20,70", "'1_0' is not a number in digits"),
        ("1,٣,11,21,20,70".encode(), "is not a number in digits"),
    ],
)  # fmt: skip
def test_a_bad_line_far_below_is_reported(line: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "mot.txt"
    file.write_bytes(b"1,7,11,21,20,70\n" * 1000 + line + b"\n")
    with pytest.raises(TableError, match=reason):
        list(read_mot(BoxSource(file), PATHS))


def test_a_track_is_a_label_that_the_api_takes(read: Read) -> None:
    assert len(read("1,7,11,21,20,70\n", track_prefix="x" * 127)) == 1
    with pytest.raises(TableError, match="line 1: track_id has 129 characters; expected 1 to 128"):
        read("1,17,11,21,20,70\n", track_prefix="x" * 127)
