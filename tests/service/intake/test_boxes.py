"""Boxes: what is cut out, what share is outside, and which boxes show nobody."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vitreid.bundle import ImageError
from vitreid.service.intake.boxes import box_hash, cut
from vitreid.service.intake.image_labels import FrameLabels

WIDTH, HEIGHT = 40, 30
PIXELS = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
FRAME = Image.fromarray(PIXELS)
NAN, INF = float("nan"), float("inf")
edge = st.floats(-60, 60)


@given(edge, edge, edge, edge)
def test_a_crop_is_the_pixels_whose_edges_are_nearest(left: float, top: float, right: float, bottom: float) -> None:
    try:
        crop, outside = cut(FRAME, (left, top, right, bottom), min_side=1)
    except ImageError:
        columns = [x for x in range(WIDTH) if left < x + 0.5 < right]
        rows = [y for y in range(HEIGHT) if top < y + 0.5 < bottom]
        assert not columns or not rows
        return
    inside_x = min(max(right, 0), WIDTH) - max(min(left, WIDTH), 0)
    inside_y = min(max(bottom, 0), HEIGHT) - max(min(top, HEIGHT), 0)
    assert outside == pytest.approx(1 - inside_x * inside_y / ((right - left) * (bottom - top)), abs=1e-9)
    assert 0 <= outside < 1
    kept = np.asarray(crop)
    columns = [x for x in range(WIDTH) if round(max(left, 0)) <= x < round(min(right, WIDTH))]
    rows = [y for y in range(HEIGHT) if round(max(top, 0)) <= y < round(min(bottom, HEIGHT))]
    assert kept.tolist() == [[PIXELS[y, x].tolist() for x in columns] for y in rows]


def test_a_box_inside_is_all_there() -> None:
    crop, outside = cut(FRAME, (10, 5, 20, 25), min_side=8)
    assert (crop.size, outside) == ((10, 20), 0.0)


def test_a_box_half_outside_is_clipped() -> None:
    crop, outside = cut(FRAME, (-10, 0, 10, 30), min_side=8)
    assert (crop.size, outside) == ((10, 30), 0.5)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((NAN, 0, 10, 10), "must be numbers"),
        ((0, 0, INF, 10), "must be numbers"),
        ((0, -INF, 10, 10), "must be numbers"),
        ((5, 5, 5, 20), "is empty"),
        ((20, 5, 10, 20), "is empty"),
        ((5, 20, 15, 5), "is empty"),
        ((40, 0, 60, 20), "lies outside of the frame of 40 x 30"),
        ((-20, 0, 0, 20), "lies outside"),
        ((-1e308, 0, 1e308, 20), "lies outside"),
        ((0, 0, 7, 20), "has 7 x 20 pixels inside of the frame, each side needs at least 8"),
        ((36, 0, 90, 30), "has 4 x 30 pixels"),
    ],
)
def test_boxes_that_show_nobody(box: tuple[float, float, float, float], reason: str) -> None:
    with pytest.raises(ImageError) as error:
        cut(FRAME, box, min_side=8)
    assert reason in error.value.reason
    assert "\n" not in str(error.value)


def test_a_hash_is_of_the_frame_and_the_edges() -> None:
    assert box_hash("ab", (1, 2.5, 30, 40)) == hashlib.sha256(b"ab 1.0 2.5 30.0 40.0").hexdigest()
    assert box_hash("ab", (-0.0, 0, 1, 1)) == box_hash("ab", (0.0, 0, 1, 1))
    others = [box_hash("ac", (1, 2.5, 30, 40)), box_hash("ab", (1, 2.5, 30, 41)), box_hash("ab", (2.5, 1, 30, 40))]
    assert len({box_hash("ab", (1, 2.5, 30, 40)), *others}) == 4


def test_boxes_take_over_what_is_known_of_their_frame() -> None:
    frame = FrameLabels.model_validate(
        {
            "camera_id": "gate",
            "captured_at": "2026-05-01T09:30:00Z",
            "metadata": {"door": "n", "lamp": 1},
            "boxes": [
                {"box": [1, 2, 3, 4], "person_id": "-1", "metadata": {"lamp": 2}},
                {"box": [1, 2, 3, 5], "person_id": "anna", "track_id": "7", "captured_at": "2026-05-01T09:30:01Z"},
            ],
        }
    )
    first, second = frame.person_boxes() or []
    assert (first.label.camera_id, first.label.person_id, first.label.track_id) == ("gate", None, None)
    assert (first.label.captured_at, first.label.metadata) == (frame.captured_at, {"door": "n", "lamp": 2})
    assert (second.label.person_id, second.label.track_id, str(second.label.captured_at)[17:19]) == ("anna", "7", "01")
    assert (first.where, second.box) == ("box 0", (1, 2, 3, 5))
    assert FrameLabels().person_boxes() is None
