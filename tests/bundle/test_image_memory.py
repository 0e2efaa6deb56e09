"""The memory that a pixel costs while an image is decoded, by kind; docs/operations.md has these numbers."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

STATUS = Path("/proc/self/clear_refs")
MAX_BYTES = {
    "JPEG RGB": 4,
    "JPEG RGB turned": 8,
    "JPEG RGB progressive": 10,
    "JPEG L": 5,
    "JPEG CMYK": 8,
    "PNG RGB": 4,
    "PNG RGBA": 8,
    "PNG P": 5,
    "PNG L": 5,
    "PNG I;16": 6,
    "WEBP RGB": 16,
    "WEBP RGBA": 16,
    "WEBP beyond the limit": 0,
}
"""Bytes a pixel."""
MARGIN = 1.5
"""Bytes a pixel for buffers that do not grow with the image."""
SIDE = 1600
CODE = """
import json, os, sys
from pathlib import Path
from vitreid.bundle import ImageError, read_image


def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def cost(content):
    try:
        read_image(content)
    except ImageError:
        pass


files = [Path(file) for file in sys.argv[1:]]
for file in files:
    cost(file.with_suffix(".small").read_bytes())  # imports everything that is imported late
for file in files:
    if os.fork():  # each in its own process with fresh memory
        os.wait()
        continue
    content = file.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    begin = status("VmRSS")
    cost(content)
    print(json.dumps([file.stem, status("VmHWM") - begin]), flush=True)
    os._exit(0)
"""


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image)[..., 1].astype(np.uint16) * 257)


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG RGB": lambda image: encoded(image, "JPEG"),
    "JPEG RGB turned": lambda image: encoded(image, "JPEG", exif=turned()),
    "JPEG RGB progressive": lambda image: encoded(image, "JPEG", progressive=True, subsampling=0),
    "JPEG L": lambda image: encoded(image.convert("L"), "JPEG"),
    "JPEG CMYK": lambda image: encoded(image.convert("CMYK"), "JPEG"),
    "PNG RGB": lambda image: encoded(image, "PNG", compress_level=1),
    "PNG RGBA": lambda image: encoded(image.convert("RGBA"), "PNG", compress_level=1),
    "PNG P": lambda image: encoded(image.convert("P"), "PNG", compress_level=1),
    "PNG L": lambda image: encoded(image.convert("L"), "PNG", compress_level=1),
    "PNG I;16": lambda image: encoded(deep(image), "PNG", compress_level=1),
    "WEBP RGB": lambda image: encoded(image, "WEBP", method=0),
    "WEBP RGBA": lambda image: encoded(Image.new("RGBA", image.size, (9, 9, 9, 9)), "WEBP", lossless=True),
    "WEBP beyond the limit": lambda image: encoded(Image.new("RGB", (6000, 6000)), "WEBP", lossless=True),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("kinds")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for kind, encode in KINDS.items():
        for size, suffix in ((SIDE, "whole"), (64, "small")):
            (folder / f"{kind}.{suffix}").write_bytes(encode(Image.fromarray(noise).resize((size, size))))
    command = [sys.executable, "-c", CODE, *map(str, folder.glob("*.whole"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = dict(json.loads(line) for line in done.stdout.splitlines())
    return {kind: peak / SIDE**2 for kind, peak in found.items()}


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the peak of memory is read from /proc of Linux")
@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_costs_what_the_documentation_says(kind: str, measured: dict[str, float]) -> None:
    assert measured[kind] <= MAX_BYTES[kind] + MARGIN
