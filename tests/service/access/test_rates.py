"""Token buckets against a slow count, and their memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vitreid.service.access.rates import Buckets


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_one_a_while() -> None:
    clock = Seconds()
    buckets = Buckets(2.0, 3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0  # another's bucket is full
    clock.now = 0.4
    assert 0 < buckets.take("a") < 0.11
    clock.now = 0.5
    assert buckets.take("a") == 0
    assert buckets.take("a") == 0.5


def test_a_long_silence_saves_up_no_more_than_the_burst() -> None:
    clock = Seconds()
    buckets = Buckets(10.0, 2, clock=clock)
    buckets.take("a")
    clock.now = 3600
    assert [buckets.take("a") == 0 for _ in range(3)] == [True, True, False]


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_never_more_than_burst_and_rate_allow(waits: list[int], per_s: int, burst: int) -> None:
    """Over every stretch of time between two requests, at most burst + time * rate are let in."""
    clock = Seconds()
    buckets = Buckets(float(per_s), burst, clock=clock)
    taken = []
    for wait in waits:
        clock.now += wait / 8  # eighths: no rounding
        if buckets.take("a") == 0:
            taken.append(clock.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * per_s + 1e-9


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_after_the_returned_wait_there_is_a_token(waits: list[int]) -> None:
    clock = Seconds()
    buckets = Buckets(1.0, 2, clock=clock)
    for wait in waits:
        clock.now += wait / 8
        if wait_s := buckets.take("a"):
            clock.now += wait_s
            assert buckets.take("a") == 0


def test_only_the_most_recent_names_are_stored() -> None:
    buckets = Buckets(0.001, 1, max_names=100, clock=Seconds())
    for name in range(1000):
        buckets.take(str(name))
    assert len(buckets) == 100
    assert buckets.take("999") > 0
    assert buckets.take("0") == 0  # forgotten: full again
