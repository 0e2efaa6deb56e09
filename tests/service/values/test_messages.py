"""Refusals name the place, the value and what is allowed, and are never long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vitreid import cli
from vitreid.service.intake.image_labels import FrameLabels
from vitreid.service.values.messages import MAX_MESSAGE, first_mistake, shortened, shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"camera_id": 3}, "metadata[2].camera_id is 3: should be a valid string"),
        ({"boxes": [{"person_id": "a"}]}, "metadata[2].boxes[0].box is missing"),
        ({"boxes": [{"box": [1, "x", 2, 3]}]}, "metadata[2].boxes[0].box[1] is 'x': should be a valid number"),
        (
            {"boxes": [{"bbox": [1, 2, 3, 4], "box": [1, 2, 3, 4]}]},
            "metadata[2].boxes[0].bbox is unknown; allowed are box, person_id, track_id, captured_at, metadata",
        ),
        (
            {"colour": "red"},
            "metadata[2].colour is unknown; allowed are camera_id, person_id, track_id, captured_at, metadata, boxes",
        ),
        ({"camera": "c1"}, "metadata[2].camera is called camera_id here; rename it"),
        (3, "metadata[2] is 3: should be a valid dictionary"),
    ],
)
def test_a_mistake_names_place_value_and_what_is_allowed(given: Any, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FrameLabels.model_validate(given)
    found = first_mistake(raised.value, "metadata[2]", FrameLabels)
    assert found.removesuffix(", unable to parse string as a number") == message


def test_long_values_and_texts_lose_their_middle() -> None:
    assert len(shown("x" * 10_000)) < 80
    assert len(shown({str(key): "x" * 10_000 for key in range(1000)})) < 600
    assert shortened("short") == "short"
    long = shortened("the start " + "x" * 10_000 + " the remedy")
    assert len(long) <= MAX_MESSAGE
    assert long.startswith("the start")
    assert long.endswith("the remedy")


def test_commands_print_short_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["x" * 3000]) == 2
    assert len(capsys.readouterr().err) < 700
    assert cli.run(["gallery", "info", str(tmp_path / "/".join(["x" * 200] * 15))]) == 2
    assert len(capsys.readouterr().err) < 700
