"""Quality of crops against slow loops over their pixels."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFilter

from vitreid.service.gallery.items import Quality
from vitreid.service.intake.quality import MEASURED, QualityViolation, measure, sharpness, violation_of


def noise(seed: int, height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def slow_sharpness(luma: np.ndarray) -> float:
    values = []
    for y in range(1, luma.shape[0] - 1):
        for x in range(1, luma.shape[1] - 1):
            around = [luma[y - 1, x], luma[y + 1, x], luma[y, x - 1], luma[y, x + 1]]
            values.append(sum(map(float, around)) - 4 * float(luma[y, x]))
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(3, 12), st.integers(3, 12))))
def test_sharpness_is_the_variance_of_the_laplacian(luma: np.ndarray) -> None:
    assert sharpness(luma.astype(np.float32)) == pytest.approx(slow_sharpness(luma), rel=1e-4, abs=1e-3)


def test_a_crop_of_the_measured_size_is_measured_pixel_by_pixel() -> None:
    image = noise(1, *MEASURED)
    rgb = np.asarray(image).astype(float)
    # ITU-R 601 as Pillow computes it, rounded to whole grey levels
    luma = np.array([[round((19595 * r + 38470 * g + 7471 * b) / 65536) for r, g, b in row] for row in rgb])
    quality = measure(image, 0.25)
    assert (quality.height, quality.width, quality.aspect, quality.outside) == (128, 64, 2.0, 0.25)
    assert quality.brightness == pytest.approx(float(luma.mean()) / 255, abs=1e-4)
    assert quality.sharpness == pytest.approx(slow_sharpness(luma), rel=1e-3)


@pytest.mark.parametrize(("grey", "brightness"), [(0, 0.0), (255, 1.0), (51, 0.2)])
def test_an_even_area_has_its_grey_and_no_sharpness(grey: int, brightness: float) -> None:
    quality = measure(Image.new("RGB", (30, 90), (grey, grey, grey)))
    assert quality == Quality(90, 30, 0.0, cast(float, pytest.approx(brightness)), 0.0)


def test_blur_lowers_sharpness_at_every_size() -> None:
    for height, width in ((64, 32), (128, 64), (400, 200)):
        values = [
            measure(noise(2, 64, 32).resize((width, height)).filter(ImageFilter.GaussianBlur(radius))).sharpness
            for radius in (0, 1, 3)
        ]
        assert values == sorted(values, reverse=True)
        assert values[0] > 2 * values[-1]


def test_the_same_scene_at_another_size_is_about_as_sharp() -> None:
    scene = noise(3, 32, 16).resize((64, 128), Image.Resampling.BICUBIC)
    small, large = (measure(scene.resize(size, Image.Resampling.BICUBIC)).sharpness for size in ((64, 128), (192, 384)))
    assert large == pytest.approx(small, rel=0.2)


QUALITY = Quality(height=100, width=40, sharpness=50.0, brightness=0.5, outside=0.25)


@pytest.mark.parametrize(
    ("ranges", "rule"),
    [
        ({}, None),
        ({"height": (100, 100), "aspect": (2.5, 2.5), "outside": (None, 0.25)}, None),
        ({"height": (None, None)}, None),
        ({"height": (101, None)}, "min_height"),
        ({"width": (None, 39)}, "max_width"),
        ({"brightness": (0.2, 0.4), "sharpness": (60, None)}, "max_brightness"),
        ({"aspect": (3, None)}, "min_aspect"),
    ],
)
def test_the_first_range_that_is_broken_is_reported(ranges: dict[str, tuple], rule: str | None) -> None:
    breach = violation_of(QUALITY, ranges)
    assert (breach.rule if breach else None) == rule


def test_a_breach_says_what_is_allowed() -> None:
    assert violation_of(QUALITY, {"outside": (None, 0.2)}) == QualityViolation(
        "max_outside", "outside is 0.25; expected at most 0.2"
    )
