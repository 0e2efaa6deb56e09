"""Whether the system's clock can be right: a machine may start in 1970, or in 2099, and be set right later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

RELEASED = datetime(2026, 1, 1, tzinfo=UTC)  # this program did not exist before
HORIZON = datetime(2046, 1, 1, tzinfo=UTC)  # nor will this version of it be in use after
STEP = timedelta(days=1)  # that clocks are set by while they are looked after


def plausible(clock: datetime) -> bool:
    """Whether the clock can be right."""
    return RELEASED <= clock < HORIZON


def believable(clock: datetime, last: datetime) -> datetime:
    """The time to write down, where `last` was written before.

    A clock that cannot be right is not believed, and one that was set back a little gives no earlier time. One that is
    far behind `last` is believed: it was the clock of then that was ahead.
    """
    if not plausible(clock):
        return last
    return clock if last - clock > STEP else max(clock, last)
