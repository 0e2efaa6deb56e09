"""Every kind of image that users send, and files that only claim to be images."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from vitreid.bundle import ImageError, ImageLimits, ImageSpec, read_image, resize_to_spec
from vitreid.bundle.preprocess import FILTERS

GRADIENT = np.linspace(0, 255, 64 * 32 * 3).reshape(64, 32, 3).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """Return a PNG with width x height pixels in its header and hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


RGB = Image.fromarray(GRADIENT)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8))
READABLE = {
    "jpeg": encoded(RGB, "JPEG", quality=100, subsampling=0),
    "png": encoded(RGB, "PNG"),
    "webp": encoded(RGB, "WEBP", lossless=True),
    "grey": encoded(RGB.convert("L"), "PNG"),
    "palette": encoded(RGB.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
    "transparent": encoded(RGB.convert("RGBA"), "PNG"),
    "cmyk": encoded(RGB.convert("CMYK"), "JPEG", quality=100, subsampling=0),
    "16-bit": encoded(Image.fromarray(GRADIENT[..., 1].astype(np.uint16) * 257), "PNG"),
    "animated": encoded(RGB, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", RGB.size)]),
}


@pytest.mark.parametrize("kind", READABLE)
def test_every_kind_becomes_rgb(kind: str) -> None:
    image = read_image(READABLE[kind])
    expected = GRADIENT if kind not in {"grey", "16-bit"} else GRADIENT[..., [1, 1, 1]]
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 12


def test_invisible_colors_do_not_count() -> None:
    """Transparent pixels become the same grey, whatever color they have and however they are stored."""
    alpha = Image.fromarray(np.where(np.arange(64)[:, None] < 32, 255, 0).repeat(32, 1).astype(np.uint8))
    shown = GRADIENT.copy()
    shown[32:] = 128
    below = Image.fromarray(255 - GRADIENT)
    for hidden in (RGB, below):
        image = Image.composite(RGB, hidden, alpha)
        image.putalpha(alpha)
        for format in ("PNG", "WEBP"):
            content = encoded(image, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}))
            assert np.array_equal(np.asarray(read_image(content)), shown)
    grey = Image.merge("LA", (RGB.convert("L"), alpha))
    assert np.asarray(read_image(encoded(grey, "PNG")))[40, 7].tolist() == [128, 128, 128]
    keyed = Image.new("P", (32, 64), 1)
    keyed.putpalette([255, 0, 0, 0, 255, 0])
    assert np.asarray(read_image(encoded(keyed, "PNG", transparency=1)))[0, 0].tolist() == [128, 128, 128]
    key = tuple(GRADIENT[40, 7].tolist())
    assert np.asarray(read_image(encoded(RGB, "PNG", transparency=key)))[40, 7].tolist() == [128, 128, 128]


@pytest.mark.parametrize("height", [8, 63, 64, 65, 200])
def test_conversion_by_strips_equals_that_of_the_whole_image(height: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, 24, 4), dtype=np.uint8)
    cmyk = Image.frombytes("CMYK", (24, height), pixels.tobytes())
    content = encoded(cmyk, "JPEG", quality=95)
    assert np.array_equal(np.asarray(read_image(content)), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    deep = pixels[..., 0].astype(np.uint16) * 256 + pixels[..., 1]
    found = np.asarray(read_image(encoded(Image.fromarray(deep), "PNG")))
    assert np.array_equal(found, pixels[..., [0, 0, 0]])


@pytest.mark.parametrize(("subsampling", "grey"), [(0, False), (2, False), (0, True)])
def test_a_jpeg_without_its_end_is_read_when_its_pixels_are_whole(subsampling: int, grey: bool) -> None:
    source = RGB.convert("L") if grey else RGB
    whole = encoded(source, "JPEG", quality=90, **({} if grey else {"subsampling": subsampling}))
    for content in (whole[:-2], whole[:-1], whole[:-2] + bytes(16)):
        assert np.array_equal(np.asarray(read_image(content)), np.asarray(read_image(whole)))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [8, 40, 400, 1000])
def test_a_jpeg_without_its_last_pixels_is_refused(missing: int, progressive: bool) -> None:
    whole = encoded(NOISE, "JPEG", quality=90, progressive=progressive)
    with pytest.raises(ImageError, match="damaged"):
        read_image(whole[:-missing])


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert read_image(encoded(RGB, "JPEG", exif=exif)).size == (64, 32)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not an image"),
        (READABLE["jpeg"][: len(READABLE["jpeg"]) // 2], "damaged"),
        (READABLE["png"][:60], "damaged"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "1 x 1"),
        (huge_png(30_000, 30_000), "has 900,000,000 pixels; at most 25,000,000"),
        (huge_png(10_000, 10_000), "25,000,000"),
        (huge_png(8_000, 8_000), "8000 x 8000"),
        (encoded(RGB, "GIF"), "not an image"),
        (encoded(RGB, "TIFF"), "not an image"),
    ],
)
def test_other_files_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(content)
    assert "\n" not in str(caught.value)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(ImageError, match=r"text\.jpg"):
        read_image(tmp_path / "text.jpg")
    with pytest.raises(ImageError, match=r"gone\.jpg: cannot be read"):
        read_image(tmp_path / "gone.jpg")


def test_the_caller_can_change_the_limits() -> None:
    with pytest.raises(ImageError):
        read_image(READABLE["png"], ImageLimits(max_pixels=100))
    assert read_image(encoded(Image.new("RGB", (2, 2)), "PNG"), ImageLimits(min_side=1)).size == (2, 2)


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(RGB, "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    assert read_image(content[:-2] + scan * 20 + content[-2:]).size == RGB.size
    monkeypatch.setattr("PIL.Image.core.new", lambda *_: pytest.fail("memory was taken for the pixels"))
    with pytest.raises(ImageError, match="has 110 progressive scans; at most 64 are allowed"):
        read_image(content[:-2] + scan * 100 + content[-2:])


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_are_read_or_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    for content in READABLE.values():
        damaged = bytearray(content)
        for position in random.integers(0, len(damaged), 5):
            damaged[position] = random.integers(0, 256)
        try:
            assert read_image(bytes(damaged)).mode == "RGB"
        except ImageError:
            continue


def cubic(x: np.ndarray) -> np.ndarray:
    """Pillow's cubic kernel (a = -0.5)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def triangle(x: np.ndarray) -> np.ndarray:
    return np.clip(1 - np.abs(x), 0, None)


@pytest.mark.parametrize(("resize", "kernel"), [("bicubic", cubic), ("bilinear", triangle)])
def test_resizing_is_antialiased(resize: str, kernel: Callable[[np.ndarray], np.ndarray]) -> None:
    """Pillow's reduction equals its definition: a kernel stretched by the scale."""

    def weights(source: int, target: int) -> np.ndarray:
        scale = source / target
        centres = (np.arange(target) + 0.5) * scale
        rows = kernel((np.arange(source)[None] + 0.5 - centres[:, None]) / scale)
        return np.asarray(rows / rows.sum(1, keepdims=True))

    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    expected = np.einsum("ih,jw,hwc->ijc", weights(64, 16), weights(48, 8), pixels.astype(float))
    found = resize_to_spec(Image.fromarray(pixels), ImageSpec(height=16, width=8, resize=resize))
    assert found.shape == (16, 8, 3)
    assert np.abs(found - np.clip(expected, 0, 255)).max() <= 1.01


def test_every_filter_of_the_spec_exists() -> None:
    assert set(get_args(ImageSpec.model_fields["resize"].annotation)) == set(FILTERS)
