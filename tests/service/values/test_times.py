"""One reading of times for every door: RFC 3339 with an offset, and no digits that could mean anything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vitreid.service.values.times import parse_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T08:15:00Z",
        "2026-11-20t08:15:00.000z",
        "2026-11-20 08:15:00+00:00",
        "2026-11-20T17:15:00+09:00",
        "2026-11-20T08:15Z",
    ],
)
def test_rfc_3339_with_an_offset(text: str) -> None:
    assert parse_time(text) == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        "20261120",
        "2026",
        "1795161600",
        20261120,
        1795161600.5,
        True,
        None,
        "2026-11-20",
        "2026-11-20T08:15:00",
        "20261120T081500Z",
        "2026-W47-5T08:15:00Z",
        "2026-11-20T08:15:00 01:00",
        "٢٠٢٦-11-20T08:15:00Z",
        "2026-13-20T08:15:00Z",
        "0001-01-01T00:00:00+09:00",
        datetime(2026, 11, 20),
    ],
)
def test_anything_else_is_refused_with_the_value_and_the_form(given: object) -> None:
    with pytest.raises(
        ValueError, match=r"is not a time; expected RFC 3339 with its offset, as in 2026-11-20T08"
    ) as message:
        parse_time(given)
    assert repr(given)[:20] in str(message.value)
