"""Rules for labels and metadata, the same for the API, commands, tables and files of boxes."""

from __future__ import annotations

import math
import unicodedata

from pydantic import JsonValue

from vitreid.service.errors import BadParameter

LONGEST_LABEL = 128
DEFAULT_GALLERY = "default"
LABEL_PATTERN = r"^(?!\s)(?!.*\s$)(?!(.*/)?\.{1,2}(/|$))[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+$"
"""The rule of `label_fault` as a regular expression, for the API's description."""

_NO_TEXT = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of characters, ends of lines and paragraphs
_DOTS = {".", ".."}
_LARGEST = 2**63


def label_fault(text: str) -> str | None:
    """Return the fault of a camera_id, person_id or track_id as a sentence part, or None.

    A label can stand in a path of the API, a query, a table and a line of a log, and looks different from any other.
    """
    if not 0 < len(text) <= LONGEST_LABEL:
        return f"has {len(text)} characters; expected 1 to {LONGEST_LABEL}"
    if any(unicodedata.category(each) in _NO_TEXT for each in text):
        return f"is {text!r}; expected no control characters"
    if text != text.strip():
        return f"is {text!r}; expected no space at its ends"
    if _DOTS.intersection(text.split("/")):
        return f"is {text!r}; expected no . or .. between slashes"
    return None


def check_label(name: str, text: str) -> str:
    """Return the label, called `name` in the error. Raises BadParameter."""
    if (fault := label_fault(text)) is not None:
        raise BadParameter(f"{name} {fault}")
    return text


def metadata_fault(value: JsonValue) -> str | None:
    """Return the fault of metadata that is not JSON as a sentence part, or None."""
    match value:
        case dict():
            return next(filter(None, map(metadata_fault, [*value, *value.values()])), None)
        case list():
            return next(filter(None, map(metadata_fault, value)), None)
        case float() if not math.isfinite(value):
            return f"{value} is not a JSON number; leave it out or send null"
        case int() if not -_LARGEST <= value < _LARGEST:
            return "a whole number has more than 64 bits; send it as text"
        case str() if has_surrogates(value):
            return f"{value!a:.60} is not Unicode text: half of a character stands alone"
    return None


def has_surrogates(text: str) -> bool:
    """Return whether a text has lone surrogates, which UTF-8 cannot encode."""
    return not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text)
