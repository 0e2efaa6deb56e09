"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vitreid.training.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def check_png(option: str, out: Path) -> None:
    """Raise ConfigError unless `out` is a PNG that can be written: called before anything is computed for it."""
    if out.suffix != ".png" or out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"{option} {out} must be a file named *.png in a folder that exists and can be written to")
