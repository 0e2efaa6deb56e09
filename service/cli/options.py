"""Options and values that several commands read the same way."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[Path, typer.Argument(help="A folder of images, searched with its subfolders.")]
GalleryDir = Annotated[
    Path,
    typer.Option("--gallery", help="Folder of the gallery; `vitreid serve --data DATA` has it in DATA/galleries/NAME."),
]
GalleryFolder = Annotated[
    Path, typer.Argument(metavar="GALLERY", help="Folder of a gallery, as DATA/galleries/default.")
]
BundleDir = Annotated[
    Path | None,
    typer.Option("--bundle", help="The model; without it VITREID_BUNDLE, the gallery's own, or the starter bundle."),
]
DataDir = Annotated[Path | None, typer.Option("--data", help="Data folder of the service; default VITREID_DATA.")]
BatchSize = Annotated[int, typer.Option(min=1, max=1024, help="Images embedded at a time.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="Cores to use; default VITREID_THREADS, or all.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Exit with 0 even if some images cannot be used.")]


def time_option(text: str) -> datetime:
    """Parse a time with its offset; returns it in UTC. Raises BadParameter."""
    from vitreid.service.values.times import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def id_option(text: str) -> int:
    """Parse an item's id, of digits only: Python would read `1_0` and `1.0` too. Raises BadParameter."""
    from vitreid.service.values.fields import MAX_ID

    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= MAX_ID):
        raise typer.BadParameter(f"{text!r:.40} is not an item's id; give whole numbers from 1 in digits")
    return int(text)


def finite_option(value: float | None) -> float | None:
    """Return the value. Raises BadParameter for NaN and infinity, which no comparison holds for."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value
