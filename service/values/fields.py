"""Types of fields in bodies, addresses and files from callers: labels, ids, bounded lists, numbers in digits."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from vitreid.service.values.texts import LABEL_PATTERN, LONGEST_LABEL, label_fault

MAX_ID = 2**63 - 1

BODY = ConfigDict(extra="forbid", frozen=True, strict=True)
"""Strict: `true` is not the item 1, nor "30" a number of days."""


def _label(given: str) -> str:
    if (fault := label_fault(given)) is not None:
        raise PydanticCustomError("label", "A label {fault}", {"fault": fault})
    return given


LabelText = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL, "pattern": LABEL_PATTERN}),
]
"""A label that is stored."""
Named = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
"""A label to search for: also one that an older version stored."""


def at_most(max_items: int) -> BeforeValidator:
    """Return a limit on the length of a list or object, checked before its entries."""

    def check(value: object) -> object:
        if isinstance(value, (list, tuple, dict)) and len(value) > max_items:
            raise PydanticCustomError(
                "too_long",
                "has {found} entries; at most {max_items} are allowed",
                {"found": len(value), "max_items": max_items},
            )
        return value

    return BeforeValidator(check)


_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_NO_DIGITS = re.compile(r"[+-]?(nan|inf)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def in_digits(given: Any, annotation: object) -> Any:
    """Return the value of a field of this type if each number in it is a number or written in digits.

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
    """Return the number of a cell in digits, or nan or an infinity. Raises ValueError."""
    if not (_NUMBER.fullmatch(text) or _NO_DIGITS.fullmatch(text)):
        raise ValueError(f"{text!r:.40} is not a number in digits")
    return float(text)


def whole(given: object) -> object:
    """Return the value if it is a whole number or digits alone. Raises ValueError."""
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
    """Return the types that an annotation is made of."""
    if get_origin(annotation) is Literal:
        return frozenset()
    parts = get_args(annotation)
    return frozenset().union(*map(_kinds, parts)) if parts else frozenset({annotation})
