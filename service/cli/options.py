"""Values of options that several commands read the same way."""

from __future__ import annotations

import math
from datetime import datetime

import typer

from vitreid.service.values.fields import MAX_ID
from vitreid.service.values.times import parse_time


def time_option(text: str) -> datetime:
    """A time with its offset, in UTC. Raises BadParameter."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def id_option(text: str) -> int:
    """An item's id in digits and nothing else: Python would read `1_0` and `1.0` too. Raises BadParameter."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= MAX_ID):
        raise typer.BadParameter(f"{text!r:.40} is no item's id; give whole numbers from 1 in digits")
    return int(text)


def finite_option(value: float | None) -> float | None:
    """The value itself. Raises BadParameter for NaN and infinity, which no comparison holds for."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value
