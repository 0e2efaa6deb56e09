"""Boxes around persons in frames: cutting them out, and their hashes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from PIL import Image

from vitreid.bundle import ImageError
from vitreid.service.gallery.items import Box
from vitreid.service.intake.labels import Label


@dataclass(frozen=True)
class PersonBox:
    """One person's box in a frame."""

    box: Box
    """left, top, right, bottom in pixels of the upright frame, from 0; right and bottom are just outside."""
    label: Label = field(default_factory=Label)
    where: str = "its box"
    """Its name in errors: the line of a file, or the position in a list."""


@dataclass(frozen=True)
class BoxSource:
    """A file of boxes with what it does not contain."""

    file: Path
    camera_id: str | None = None
    """The camera of frames for which the file has none."""
    min_confidence: float | None = None
    """MOT: detections below it are left out."""
    fps: float | None = None
    """MOT: frames per second; with `start`, frames get times."""
    start: datetime | None = None
    """MOT: when frame 1 was taken."""
    track_prefix: str = ""
    """MOT: prefix of track ids, which count from 1 in every file."""


def cut(frame: Image.Image, box: Box, *, min_side: int) -> tuple[Image.Image, float]:
    """Cut a box out of a frame, in whole pixels; return also the share of the box outside of the frame, 0..1.

    Edges are rounded to the nearest pixel. Raises ImageError for a box that shows no person: not finite, empty,
    inverted, outside of the frame, or with a side under `min_side` pixels inside of it.
    """
    left, top, right, bottom = box
    shown = "[" + ", ".join(f"{edge:g}" for edge in box) + "]"
    if not all(map(math.isfinite, box)):
        raise ImageError(shown, "is not a box; left, top, right and bottom must be numbers")
    if right <= left or bottom <= top:
        raise ImageError(shown, "is empty; right must be greater than left, and bottom than top")
    across, down = _within(left, right, frame.width), _within(top, bottom, frame.height)
    share = across * down
    if share == 0:
        raise ImageError(shown, f"lies outside of the frame of {frame.width} x {frame.height} pixels")
    pixels = (
        round(max(left, 0)),
        round(max(top, 0)),
        round(min(right, frame.width)),
        round(min(bottom, frame.height)),
    )
    width, height = pixels[2] - pixels[0], pixels[3] - pixels[1]
    if min(width, height) < min_side:
        raise ImageError(
            shown, f"has {width} x {height} pixels inside of the frame, each side needs at least {min_side}"
        )
    return frame.crop(pixels), 1 - share


def box_hash(frame_hash: str, box: Box) -> str:
    """Return the hash of one box of one frame: SHA-256, hex, of "FRAME_HASH LEFT TOP RIGHT BOTTOM"."""
    edges = " ".join(repr(float(edge) + 0.0) for edge in box)  # + 0.0: -0.0 is 0.0
    return hashlib.sha256(f"{frame_hash} {edges}".encode()).hexdigest()


def _within(start: float, end: float, size: int) -> float:
    """Return the share of start..end that lies in 0..size."""
    return max(0.0, min(end, size) - max(start, 0.0)) / (end - start)
