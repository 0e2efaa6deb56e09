"""Work ahead of its consumer."""

from __future__ import annotations

import threading

import pytest

from vitreid.service.intake.pipeline import prefetch


def test_results_come_in_order():
    assert list(prefetch(lambda number: number * 2, range(100), workers=3)) == [number * 2 for number in range(100)]
    assert list(prefetch(str, [])) == []


def test_only_a_few_results_wait():
    begun: list[int] = []
    results = prefetch(begun.append, range(1000), workers=2, depth=3)
    next(results)
    assert len(begun) <= 6
    results.close()
    assert len(begun) <= 7


def test_an_exception_reaches_the_consumer_and_threads_end():
    def fail(number: int) -> int:
        if number == 5:
            raise KeyError("five")
        return number

    before = threading.active_count()
    with pytest.raises(KeyError, match="five"):
        list(prefetch(fail, range(100), workers=2))
    assert threading.active_count() == before
