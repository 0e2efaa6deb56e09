"""Limits on what a caller sends, checked before anything else is."""

from __future__ import annotations

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def at_most(most: int) -> BeforeValidator:
    """A limit on the length of a list or object that is checked before any of its entries is."""

    def check(value: object) -> object:
        if isinstance(value, (list, tuple, dict)) and len(value) > most:
            raise PydanticCustomError(
                "too_long", "has {found} entries, at most {most} are allowed", {"found": len(value), "most": most}
            )
        return value

    return BeforeValidator(check)
