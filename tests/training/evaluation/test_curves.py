from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vitreid.training.errors import DataError
from vitreid.training.evaluation.curves import TensorBoardWriter, draw_curves

HISTORY = [{"epoch": 1, "loss": 3.0, "lr": 0.1}, {"epoch": 2, "loss": 2.0, "lr": 0.05, "mAP": 0.4}]


@pytest.mark.slow
def test_a_panel_for_each_value(tmp_path: Path) -> None:
    draw_curves({"one": HISTORY, "other": HISTORY[:1]}, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.size == (1440, 360)  # loss, mAP and lr beside each other
        assert len(drawn.convert("RGB").getcolors(2**20) or ()) > 50


def test_a_run_has_one_colour_in_all_panels(tmp_path: Path) -> None:
    draw_curves({"one": [{"epoch": 1, "loss": 2.5}], "other": HISTORY}, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as drawn:
        panels = [drawn.convert("RGB").crop((left, 60, left + 440, 360)) for left in (0, 480)]  # below the legend
    colours = [{colour for _, colour in panel.getcolors(2**20) or ()} for panel in panels]
    first, second = (31, 119, 180), (255, 127, 14)
    assert {first, second} <= colours[0]
    assert second in colours[1]
    assert first not in colours[1]  # only the other run has an mAP


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no epoch has ended"):
        draw_curves({"one": []}, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    heard = []

    class Observer:
        def step(self, progress: object) -> None:
            heard.append(progress)

        def epoch(self, record: dict[str, float]) -> None:
            heard.append(record)

    board = TensorBoardWriter(Observer(), tmp_path)
    board.step("a step")
    for record in HISTORY:
        board.epoch(record)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 3.0), (2, 2.0)]
    assert [event.step for event in events.Scalars("mAP")] == [2]
    assert heard == ["a step", *HISTORY]
