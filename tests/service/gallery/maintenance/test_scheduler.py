"""Scheduler: due jobs are done, failures neither end nor repeat without pause, and stopping is prompt."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.errors import GalleryFull
from vitreid.service.gallery.maintenance import scheduler as module
from vitreid.service.gallery.maintenance.purging import purge
from vitreid.service.gallery.maintenance.scheduler import (
    EXPIRE_EVERY_S,
    FIRST_RETRY_S,
    MAX_RETRY_S,
    PURGE_SHARE,
    Scheduler,
)
from vitreid.service.gallery.snapshots.snapshot import snapshots


class Clocks:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.now = datetime.now(UTC)

    def pass_s(self, seconds: float) -> None:
        self.s += seconds
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gate", bundle_id="a" * 64, dimension=4, index="exact") as opened:
        opened.acquire_maintenance_lock("test")
        add(opened, 5)
        yield opened


def add(gallery: Gallery, count: int, **values: Any) -> None:
    start = gallery.info().seq
    rows = np.random.default_rng(start).standard_normal((count, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gallery.add([NewItem(row, f"{start + number:064x}", **values) for number, row in enumerate(rows)])


@pytest.fixture
def keep(gallery: Gallery, clocks: Clocks) -> Callable[..., Scheduler]:
    def make(**values: Any) -> Scheduler:
        return Scheduler(lambda: [gallery], now=lambda: clocks.now, monotonic=lambda: clocks.s, **values)

    return make


def purged(gallery: Gallery) -> list[bool]:
    return [receipt.purged_at is not None for receipt in gallery.receipts()]


def test_a_purge_comes_once_for_all_erasures_of_a_while(gallery, clocks, keep, monkeypatch):
    maintenance, times = keep(purge_after_s=60), []
    monkeypatch.setattr(module, "purge", lambda *given: times.append(clocks.s) or purge(*given))
    maintenance.run_due_jobs()
    gallery.erase([1])
    for _ in range(6):
        maintenance.run_due_jobs()
        assert purged(gallery).count(True) == 0
        clocks.pass_s(10)
        if len(gallery) > 2:
            gallery.erase([gallery.ids()[0]])
    maintenance.run_due_jobs()
    assert purged(gallery) == [True] * 3
    assert times == [1060.0]


def test_a_purge_that_took_long_is_not_repeated_soon(gallery, clocks, keep, monkeypatch):
    maintenance, times = keep(purge_after_s=0), []

    def slow(*given: Any) -> bool:
        times.append(clocks.s)
        clocks.pass_s(87)
        return purge(*given)

    monkeypatch.setattr(module, "purge", slow)
    gallery.erase([1])
    maintenance.run_due_jobs()
    gallery.erase([2])
    for _ in range(100):
        maintenance.run_due_jobs()
        clocks.pass_s(10)
    assert len(times) == 2
    assert times[1] - times[0] >= 87 * (1 + PURGE_SHARE)
    assert purged(gallery) == [True, True]


def test_items_that_are_too_old_expire_and_are_purged(gallery, clocks, keep):
    maintenance = keep(purge_after_s=60)
    gallery.change_settings(retention_days=1)
    maintenance.run_due_jobs()
    assert len(gallery) == 5
    clocks.pass_s(86_400)
    maintenance.run_due_jobs()
    assert len(gallery) == 0
    assert [receipt.reason for receipt in gallery.receipts()] == ["retention"]
    clocks.pass_s(60)
    maintenance.run_due_jobs()
    assert purged(gallery) == [True]


def test_a_clock_that_jumps_back_breaks_nothing(gallery, clocks, keep):
    maintenance = keep(purge_after_s=60)
    gallery.change_settings(retention_days=1)
    gallery.erase([1])
    maintenance.run_due_jobs()
    clocks.now -= timedelta(days=3650)
    clocks.pass_s(EXPIRE_EVERY_S)
    maintenance.run_due_jobs()
    assert len(gallery) == 4
    [receipt] = gallery.receipts()
    assert receipt.purged_at is not None
    assert receipt.purged_at >= receipt.unsearchable_at >= receipt.requested_at
    clocks.now += timedelta(days=3652)
    clocks.pass_s(EXPIRE_EVERY_S)
    maintenance.run_due_jobs()
    assert len(gallery) == 0


def test_snapshots_are_written_when_due(gallery, keep):
    maintenance = keep()
    gallery.refresh()
    maintenance.run_due_jobs()
    assert snapshots(gallery.folder) == []
    add(gallery, 1200)
    maintenance.run_due_jobs()
    assert len(snapshots(gallery.folder)) == 1
    maintenance.run_due_jobs()
    assert len(snapshots(gallery.folder)) == 1


def test_a_job_that_fails_is_reported_and_tried_again_ever_later(gallery, clocks, keep, monkeypatch, caplog):
    maintenance, times = keep(purge_after_s=0), []

    def full(gallery: Gallery, *, only_if_due: bool) -> None:
        times.append(clocks.s)
        raise GalleryFull("no space is left")

    monkeypatch.setattr(Gallery, "write_snapshot", full)
    gallery.erase([1])
    with caplog.at_level(logging.WARNING, "vitreid"):
        for _ in range(400):
            maintenance.run_due_jobs()
            clocks.pass_s(10)
    assert purged(gallery) == [True]  # the other jobs go on
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits[0] == FIRST_RETRY_S
    assert waits == sorted(waits)
    assert waits[-1] == MAX_RETRY_S
    assert caplog.messages[0] == "maintenance of gallery gate: snapshot failed (no space is left); next attempt in 10 s"
    assert caplog.records[0].exc_info is None
    monkeypatch.undo()
    clocks.pass_s(MAX_RETRY_S)
    maintenance.run_due_jobs()
    add(gallery, 1200)
    gallery.refresh()
    maintenance.run_due_jobs()
    assert len(snapshots(gallery.folder)) == 1


def test_an_error_that_nobody_expects_keeps_its_traceback(gallery, keep, monkeypatch, caplog):
    def broken(gallery: Gallery, *, only_if_due: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Gallery, "rebuild_index", broken)
    with caplog.at_level(logging.WARNING, "vitreid"):
        keep().run_due_jobs()
    assert caplog.records[0].exc_info is not None


def test_the_thread_waits_is_woken_and_stops(gallery, monkeypatch):
    runs = threading.Semaphore(0)

    class Counted(Scheduler):
        def run_due_jobs(self) -> None:
            super().run_due_jobs()
            runs.release()

    gallery.change_settings(retention_days=1)
    now = datetime.now(UTC)
    with Counted(lambda: [gallery], 3600, now=lambda: now) as maintenance:
        assert runs.acquire(timeout=30)
        assert len(gallery) == 5
        now += timedelta(days=2)
        maintenance.wake()
        assert runs.acquire(timeout=30)
        assert len(gallery) == 0
        assert not runs.acquire(blocking=False)
    assert not any(thread.name == "maintenance" for thread in threading.enumerate())


def test_a_thread_outlives_what_its_jobs_meet(gallery, monkeypatch, caplog):
    runs = threading.Semaphore(0)

    def broken(gallery: Gallery, *, only_if_due: bool) -> None:
        runs.release()
        raise ZeroDivisionError

    monkeypatch.setattr(Gallery, "write_snapshot", broken)
    with Scheduler(lambda: [gallery], 3600) as maintenance:
        for _ in range(3):
            assert runs.acquire(timeout=30)
            maintenance.wake()


def test_stopping_gives_up_a_purge(gallery, monkeypatch):
    began, asked = threading.Event(), threading.Event()

    def long_purge(gallery: Gallery, clock: object, cancelled: Callable[[], bool]) -> bool:
        began.set()
        while not cancelled():
            asked.wait(0.001)
        return False

    monkeypatch.setattr(module, "purge", long_purge)
    gallery.erase([1])
    maintenance = Scheduler(lambda: [gallery], 3600, purge_after_s=0)
    maintenance.start()
    assert began.wait(30)
    maintenance.stop()
    assert purged(gallery) == [False]
    maintenance.stop()  # again is no error
