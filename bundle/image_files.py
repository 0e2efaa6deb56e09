"""Recognition of image files by their names, the same for data sets and galleries."""

from __future__ import annotations

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Suffixes of the formats that can be read."""
OTHER_SUFFIXES = (
    ".arw", ".avif", ".bmp", ".cr2", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".nef", ".ppm", ".svg",
    ".tif", ".tiff",
)  # fmt: skip
"""Suffixes of other image formats, to report such files as images that were ignored."""

HIDDEN = "hidden files"
OTHER_FORMATS = "images of other formats"
OTHER_FILES = "files that are not images"


def is_image_name(name: str) -> bool:
    """Return whether a file's name is that of an image that can be read; hidden files are ignored."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def ignored_kind(name: str) -> str | None:
    """Return the kind of file for which a name is ignored; None for an image."""
    if name.startswith("."):
        return HIDDEN
    if is_image_name(name):
        return None
    return OTHER_FORMATS if name.lower().endswith(OTHER_SUFFIXES) else OTHER_FILES
