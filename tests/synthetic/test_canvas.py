import numpy as np
import pytest

from vitreid.synthetic.canvas import Canvas, Ring


def blank(height: int = 60, width: int = 40) -> Canvas:
    return Canvas(np.zeros((height, width, 3), np.float32))


def inked(canvas: Canvas) -> float:
    return float(canvas.pixels[..., 0].sum()) / 255


@pytest.fixture(autouse=True)
def _flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Canvas, "rim", 0.0)
    monkeypatch.setattr(Canvas, "shadow", 0.0)


WHITE = (255.0, 255.0, 255.0)


def test_tube_covers_the_area_of_a_capsule() -> None:
    canvas = blank()
    canvas.tube([(20, 15), (20, 45)], [8, 8], WHITE)
    assert inked(canvas) == pytest.approx(30 * 16 + np.pi * 64, rel=0.05)


def test_a_cuff_ends_a_tube_straight() -> None:
    canvas = blank()
    canvas.tube([(20, 15), (20, 45)], [8, 8], WHITE, cuff=True)
    assert inked(canvas) == pytest.approx(30 * 16 + np.pi * 32, rel=0.05)


def test_ball_covers_the_area_of_an_ellipse() -> None:
    canvas = blank()
    canvas.ball((20, 30), (10, 14), WHITE)
    assert inked(canvas) == pytest.approx(np.pi * 10 * 14, rel=0.05)


def test_barrel_covers_the_area_between_its_rings() -> None:
    canvas = blank()
    canvas.barrel([Ring(20, 10, 10, 1), Ring(20, 50, 14, 0)], WHITE)
    assert inked(canvas) == pytest.approx(40 * 24, rel=0.07)


def test_box_covers_its_rectangle() -> None:
    canvas = blank()
    canvas.box(10, 10, 30, 40, WHITE)
    assert inked(canvas) == pytest.approx(20 * 30, rel=0.08)


def test_shapes_outside_of_the_image_change_nothing() -> None:
    canvas = blank()
    canvas.box(100, 100, 120, 120, WHITE)
    canvas.ball((-50, 5), (8, 8), WHITE)
    canvas.tube([(-30, -30), (-20, -20)], [3, 3], WHITE)
    canvas.barrel([Ring(90, 90, 5, 1), Ring(90, 99, 5, 0)], WHITE)
    assert inked(canvas) == 0


def test_marks_turn_with_a_barrel() -> None:
    rings = [Ring(20, 10, 15, 1), Ring(20, 50, 15, 0)]
    front = (lambda surface: (np.abs(surface.angle) < 0.5).astype(np.float32), (255.0, 0.0, 0.0))
    counts = []
    for yaw in (0.0, 0.8, np.pi):
        canvas = blank()
        canvas.barrel(rings, (0.0, 0.0, 1.0), [front], yaw=yaw)
        red = canvas.pixels[..., 0] > 1
        counts.append((int(red.sum()), float(np.nonzero(red)[1].mean()) if red.any() else 0))
    assert counts[0][1] == pytest.approx(20, abs=0.5)
    assert counts[1][1] > 25
    assert counts[2][0] == 0
