"""Which files are images by their names: one rule for data sets and galleries."""

from __future__ import annotations

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Of the formats that are read."""
OTHER_SUFFIXES = (
    ".arw", ".avif", ".bmp", ".cr2", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".nef", ".ppm", ".svg",
    ".tif", ".tiff",
)  # fmt: skip
"""Of images that are not: whoever has them may think that they are."""

HIDDEN = "hidden files"
OTHER_FORMATS = "images of other formats"
OTHER_FILES = "files that are no images"


def is_image_name(name: str) -> bool:
    """Whether a file's name is that of an image that is read; hidden files are none."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def ignored_kind(name: str) -> str | None:
    """Why a file is not read as an image, by its name; None for one that is."""
    if name.startswith("."):
        return HIDDEN
    if is_image_name(name):
        return None
    return OTHER_FORMATS if name.lower().endswith(OTHER_SUFFIXES) else OTHER_FILES
