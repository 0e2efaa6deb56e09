"""Paths, bytes, Pillow images and arrays give the same image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitreid.bundle import ImageError
from vitreid.bundle.image_sources import rgb_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


def test_every_form_gives_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(PIXELS).save(path)
    for source in (path, str(path), path.read_bytes(), Image.open(path), Image.fromarray(PIXELS), PIXELS):
        image = rgb_image(source)
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), PIXELS)


def test_an_image_in_memory_is_turned_and_converted_like_a_file() -> None:
    turned, exif = Image.fromarray(PIXELS), Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    turned.save(content, "PNG", exif=exif)
    expected = np.asarray(rgb_image(content.getvalue()))
    assert np.array_equal(np.asarray(rgb_image(Image.open(io.BytesIO(content.getvalue())))), expected)
    clear = Image.new("RGBA", (9, 12), (255, 0, 0, 0))
    assert np.asarray(rgb_image(clear)).max() == np.asarray(rgb_image(clear)).min() == 128


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (3, "is a int; expected a path"),
        (PIXELS[:, :, 0], r"uint8 \(12, 9\); expected uint8 \(H, W, 3\)"),
        (PIXELS.astype(np.float32), "array of float32"),
        (b"no image", "is not an image"),
        ("missing.png", "missing.png: cannot be read"),
    ],
)
def test_other_values_are_refused(source: object, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        rgb_image(source)
