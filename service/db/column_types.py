"""Column types that are stored as text: times that sort, and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, String, TypeDecorator


class Unreadable(ValueError):
    """A stored value that cannot be what was stored."""


def utc_text(time: datetime) -> str:
    """Return RFC 3339 text of one width in UTC."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def stored_json(text: str) -> Any:
    """Return the value of a JSON column. Raises Unreadable."""
    try:
        value = json.loads(text, parse_constant=_no_number)
        if "\\ud" in text:  # perhaps half of a character, which UTF-8 cannot write
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise Unreadable(f"a text that is no JSON: {error}") from error
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def stored_time(text: str) -> datetime:
    """Return the time of a text column. Raises Unreadable."""
    try:
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"a text that is no time: {error}") from error


class UtcText(TypeDecorator[datetime]):
    """An aware datetime as RFC 3339 text of one width in UTC, so that texts sort as times do."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text. Raises Unreadable."""
        return None if value is None else stored_time(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text; None is NULL, or the JSON text `null` with `null_text`."""

    impl = String
    cache_ok = True

    def __init__(self, *, null_text: bool = False) -> None:
        super().__init__()
        self.null_text = null_text

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None and not self.null_text else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From text. Raises Unreadable."""
        return None if value is None else stored_json(value)
