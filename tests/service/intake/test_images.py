"""The image that is kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vitreid.bundle import read_image
from vitreid.service.intake.preparing import encode_image


@pytest.mark.parametrize(
    ("size", "kept"),
    [((64, 128), (64, 128)), ((512, 100), (512, 100)), ((3000, 1500), (512, 256)), ((8, 4000), (8, 512))],
)
def test_sizes(size, kept):
    assert read_image(encode_image(Image.new("RGB", size))).size == kept


def test_nothing_but_pixels_is_kept():
    gradient = np.indices((128, 64)).sum(axis=0).astype(np.uint8)
    source = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "SECRET place"
    Image.fromarray(np.dstack([gradient] * 3)).save(
        source, "JPEG", quality=95, exif=exif, comment=b"SECRET note", icc_profile=b"SECRET profile", xmp=b"SECRET xmp"
    )
    content = source.getvalue() + b"SECRET second file"
    image = read_image(content)
    kept = encode_image(image)
    assert content.count(b"SECRET") == 5
    assert b"SECRET" not in kept
    assert image.info  # the caller's image is left as it was
    assert np.abs(np.asarray(read_image(kept)).astype(int) - np.asarray(image)).max() < 12
