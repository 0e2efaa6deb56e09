"""Times from callers, read in one way everywhere; and the system's clock, which may be wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

EXAMPLE = "2026-11-20T08:15:00Z"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(given: object) -> datetime:
    """Parse an RFC 3339 time and return it in UTC; its seconds may be left out, its offset may not.

    Digits alone would be read as a date by people and as seconds since 1970 by libraries, so they are refused. Raises
    ValueError.
    """
    try:
        if isinstance(given, datetime):
            if given.tzinfo is None:
                raise ValueError("no offset")
            return given.astimezone(UTC)
        text = given.upper() if isinstance(given, str) else ""
        if not _RFC3339.fullmatch(text):
            raise ValueError("another form")
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{given!r:.60} is not a time; expected RFC 3339 with its offset, as in {EXAMPLE}") from error


def _as_field(given: object) -> datetime:
    try:
        return parse_time(given)
    except ValueError as error:
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from error


UtcTime = Annotated[AwareDatetime, BeforeValidator(_as_field)]
"""A field of a model with a time, in UTC."""


RELEASED = datetime(2026, 1, 1, tzinfo=UTC)  # this program did not exist before
HORIZON = datetime(2046, 1, 1, tzinfo=UTC)  # nor will this version of it be in use after
STEP = timedelta(days=1)  # that clocks are set by while they are looked after


def plausible(clock: datetime) -> bool:
    """Return whether the clock can be right."""
    return RELEASED <= clock < HORIZON


def believable(clock: datetime, last: datetime) -> datetime:
    """Return the time to record after the recorded time `last`.

    An implausible clock is ignored, and one that was set back a little gives no earlier time. One that is far behind
    `last` is believed: the earlier clock was ahead.
    """
    if not plausible(clock):
        return last
    return clock if last - clock > STEP else max(clock, last)


def utc_now() -> datetime:
    """Return the time by the system's clock."""
    return datetime.now(UTC)
