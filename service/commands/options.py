"""Values of options that several commands read the same way."""

from __future__ import annotations

import math
from datetime import datetime

import typer

from service.times import parse_time


def time_option(text: str) -> datetime:
    """A time with its offset, in UTC. Raises BadParameter."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def finite_option(value: float | None) -> float | None:
    """The value itself. Raises BadParameter for NaN and infinity, which no comparison holds for."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value
