"""Which files are images by their names: one rule for data sets and galleries."""

from __future__ import annotations

import mimetypes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Of the formats that are read."""

HIDDEN = "hidden files"
OTHER_FORMATS = "images of other formats"
OTHER_FILES = "files that are no images"
_UNKNOWN_TO_MIMETYPES = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw")


def is_image_name(name: str) -> bool:
    """Whether a file's name is that of an image that is read; hidden files are none."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def ignored_kind(name: str) -> str | None:
    """Why a file is not read as an image, by its name; None for one that is."""
    if name.startswith("."):
        return HIDDEN
    if is_image_name(name):
        return None
    kind, _ = mimetypes.guess_type(name)
    is_image = (kind or "").startswith("image/") or name.lower().endswith(_UNKNOWN_TO_MIMETYPES)
    return OTHER_FORMATS if is_image else OTHER_FILES
