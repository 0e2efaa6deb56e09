"""The options by which every command names a data set, and the note of what was left out of it."""

from __future__ import annotations

from typing import Annotated

import typer

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.datasets import Source, Split
from vitreid.training.datasets.remarks import left_out_notes

DATA_HELP = "FOLDER or CSV file of a data set, or NAME=FOLDER by its layout, as folders=DIR."
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Dataset = Annotated[
    str | None, typer.Option(help="The layout of data without NAME=: market1501 when left out, folders, table, ...")
]
Pattern = Annotated[
    str | None,
    typer.Option("--name-pattern", help="Of folders: what names say, as '{camera}_{time:%Y-%m-%d_%H-%M-%S}_*'."),
]


def source_of(data: str, dataset: str | None, pattern: str | None = None) -> Source:
    """The data set that the options name. Raises NamePatternError."""
    return Source.parse(data, dataset, pattern_of(pattern))


def pattern_of(text: str | None) -> NamePattern | None:
    """A pattern that was given. Raises NamePatternError."""
    return None if text is None else NamePattern.parse(text)


def read_noted(source: Source) -> Split:
    """Its samples, with a note on stderr of what was left out. Raises DataError and NamePatternError."""
    split = source.read()
    for line in left_out_notes(split):
        typer.echo(f"note: {line}", err=True)
    return split
