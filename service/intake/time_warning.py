"""A captured_at that can hardly be meant: taken as it is, and reported with the addition."""

from __future__ import annotations

from datetime import datetime, timedelta

AHEAD = timedelta(days=1)  # no clock that anybody looks after is wrong by more
LONG_AGO = timedelta(days=365 * 30)


def time_warning(captured_at: datetime | None, *, now: datetime, retention_days: float | None) -> str | None:
    """What is doubtful about a time, as a sentence part; None: nothing."""
    if captured_at is None:
        return None
    age = now - captured_at
    shown = f"captured_at {captured_at.isoformat()}"
    if -age > AHEAD:
        return f"{shown} lies in the future; check the camera's clock"
    if retention_days is not None and age.total_seconds() > retention_days * 86_400:
        return f"{shown} is older than the {retention_days:g} days that the gallery keeps items; it is erased soon"
    if age > LONG_AGO:
        return f"{shown} is over 30 years ago; check the camera's clock"
    return None
