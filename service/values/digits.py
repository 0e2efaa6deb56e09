"""Numbers that come as text: digits and nothing else, where Python would read `1_0`, ` 10` and digits of any script."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticCustomError

_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_NO_DIGITS = re.compile(r"[+-]?(nan|inf)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def in_digits(given: Any, annotation: object) -> Any:
    """What is given for a field of this type, where each number in it is one or is written in digits.

    Raises ValueError.
    """
    kinds = _kinds(annotation)
    for each in given if isinstance(given, list) else [given]:
        if int in kinds and not kinds & {str, bool, float}:
            whole(each)
        elif float in kinds and not kinds & {str, bool}:
            _number(each)
    return given


def number_of(text: str) -> float:
    """The number that a cell of a file has in digits, or nan or an infinity. Raises ValueError."""
    if not (_NUMBER.fullmatch(text) or _NO_DIGITS.fullmatch(text)):
        raise ValueError(f"{text!r:.40} is not a number in digits")
    return float(text)


def whole(given: object) -> object:
    """What is given, where it is a whole number or digits alone. Raises ValueError."""
    if given is None or (isinstance(given, str) and _WHOLE.fullmatch(given)):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise PydanticCustomError("whole_number", "Input should be a whole number in digits")


def _number(given: object) -> None:
    if given is None or (isinstance(given, str) and _NUMBER.fullmatch(given)):
        return
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise PydanticCustomError("number", "Input should be a number in digits")


@cache
def _kinds(annotation: object) -> frozenset[object]:
    """The types that an annotation is made of."""
    if get_origin(annotation) is Literal:
        return frozenset()
    parts = get_args(annotation)
    return frozenset().union(*map(_kinds, parts)) if parts else frozenset({annotation})
