"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.terminal import note

if TYPE_CHECKING:
    from vitreid.bundle.name_pattern import NamePattern
    from vitreid.training.datasets import Source, Split

DATA_HELP = "FOLDER or CSV file of a data set, or NAME=FOLDER by its layout, as folders=DIR."
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Dataset = Annotated[
    str | None, typer.Option(help="Layout of data without NAME=: market1501 when left out, folders, table, ...")
]
Pattern = Annotated[
    str | None,
    typer.Option("--name-pattern", help="For folders: labels in names, as '{camera}_{time:%Y-%m-%d_%H-%M-%S}_*'."),
]
OtherCameras = Annotated[
    bool, typer.Option("--other-cameras", help="The images are by other cameras than those that the model learned.")
]


def source_of(data: str, dataset: str | None, pattern: str | None = None) -> Source:
    """Return the data set that the options name. Raises NamePatternError."""
    from vitreid.training.datasets import Source

    return Source.parse(data, dataset, pattern_of(pattern))


def pattern_of(text: str | None) -> NamePattern | None:
    """Parse a name pattern, if one was given. Raises NamePatternError."""
    from vitreid.bundle.name_pattern import NamePattern

    return None if text is None else NamePattern.parse(text)


def read_noted(source: Source) -> Split:
    """Read a data set, with a note of what was left out. Raises DataError and NamePatternError."""
    from vitreid.training.datasets.warnings import left_out_notes

    split = source.read()
    for line in left_out_notes(split):
        note(line)
    return split


def check_png(option: str, out: Path) -> None:
    """Raise ConfigError unless `out` is a PNG that can be written; called before anything is computed for it."""
    from vitreid.training.errors import ConfigError

    if out.suffix != ".png" or out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"{option} {out} must be a file named *.png in a folder that exists and can be written to")
