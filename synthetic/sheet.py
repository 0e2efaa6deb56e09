"""Contact sheets: one row per person, one column per camera."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vitreid.synthetic.errors import FolderRefused, InvalidRequest

NAME = re.compile(r"(\d{4})_c(\d+)s\d+_\d+_\d+\.jpg")
PAPER = (250, 249, 246)

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def contact_sheet(
    source: Path | Sequence[Sequence[Pixels]], *, persons: int = 8, cameras: int = 6, margin: int = 6
) -> Image.Image:
    """Draw a sheet, RGB, of images by person (rows) and camera (columns).

    `source`: rows of uint8 (H, W, 3), all of one size, or the folder of a data set; then the sheet has the first
    `persons` identities and the first image of each of the first `cameras` cameras.
    """
    rows = from_folder(source, persons, cameras) if isinstance(source, Path) else source
    if not rows or not all(rows):
        raise InvalidRequest("the contact sheet has no images; give at least one row with one image")
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    size = (columns * (width + margin) + margin, len(rows) * (height + margin) + margin)
    sheet = Image.new("RGB", size, PAPER)
    for r, row in enumerate(rows):
        for c, pixels in enumerate(row):
            sheet.paste(Image.fromarray(pixels), (margin + c * (width + margin), margin + r * (height + margin)))
    return sheet


def from_folder(folder: Path, persons: int, cameras: int) -> list[list[Pixels]]:
    """Return the images of a data set, one list per identity, ordered by camera."""
    found: dict[int, dict[int, Path]] = {}
    for file in sorted(folder.glob("*/*.jpg"), key=lambda file: file.name):
        match = NAME.fullmatch(file.name)
        if match and int(match[2]) <= cameras:
            found.setdefault(int(match[1]), {}).setdefault(int(match[2]), file)
    if not found:
        raise FolderRefused(f"{folder} holds no images named like 0001_c1s1_000001_00.jpg; give a data set's folder")
    shown = sorted(found)[:persons]
    return [[np.asarray(Image.open(found[p][c]).convert("RGB")) for c in sorted(found[p])] for p in shown]
