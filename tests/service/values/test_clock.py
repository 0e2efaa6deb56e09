"""A clock that cannot be right is not believed, and one that was set right again is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vitreid.service.values.times import believable, plausible

LAST = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("year", [1970, 2000, 2025, 2046, 2099])
def test_a_clock_that_cannot_be_right_changes_nothing(year: int) -> None:
    clock = datetime(year, 6, 1, tzinfo=UTC)
    assert not plausible(clock)
    assert believable(clock, LAST) == LAST


def test_time_goes_on_and_a_small_step_back_does_not_count() -> None:
    assert believable(LAST + timedelta(days=400), LAST) == LAST + timedelta(days=400)
    assert believable(LAST - timedelta(hours=23), LAST) == LAST


@pytest.mark.parametrize("last", [datetime(2027, 11, 20, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)])
def test_a_clock_far_behind_what_was_written_is_right_again(last: datetime) -> None:
    assert believable(LAST, last) == LAST
