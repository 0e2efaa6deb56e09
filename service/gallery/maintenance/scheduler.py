"""Scheduler: one thread of the service that does what its galleries need behind the requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from vitreid.service.errors import ServiceError
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.maintenance.purging import purge, unpurged
from vitreid.service.gallery.maintenance.retention import clock_warning, expire

logger = logging.getLogger("vitreid")

EXPIRE_EVERY_S = 300.0
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 600.0
PURGE_SHARE = 10  # a purge blocks writers: after one of a second the next waits at least ten


def utc_now() -> datetime:
    """The time by the system's clock."""
    return datetime.now(UTC)


class Scheduler:
    """Snapshots, index, retention and purges of the galleries that a process keeps.

    `galleries` is asked for them at every look, at least each `interval_s` seconds; `jobs` are what else is to be done.
    Ages are told by `now`, waiting by `monotonic`: a clock that is set back delays nothing and lets nothing expire
    early. A job that fails is logged and tried again later, ever more seldom; the others go on.
    """

    def __init__(
        self,
        galleries: Callable[[], Iterable[Gallery]],
        interval_s: float = 1.0,
        *,
        purge_after_s: float = 60.0,
        jobs: Mapping[str, Callable[[Gallery], None]] = {},
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._galleries = galleries
        self._interval_s = interval_s
        self._purge_after_s = purge_after_s
        self._now = now
        self._monotonic = monotonic
        self._jobs: dict[str, Callable[[Gallery], None]] = {
            "retention": self._expire,
            "index": lambda gallery: gallery.upkeep_index(),
            "snapshot": lambda gallery: gallery.upkeep_snapshot(),
            **jobs,
            "purge": self._purge,
        }
        self._not_before: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._deleted_since: dict[str, float] = {}
        self._warnings: dict[str, str] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand; a purge that rewrites the database is given up and done again after a start."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def poke(self) -> None:
        """Look after the galleries now, as when a retention period was changed."""
        self._wake.set()

    def look(self) -> None:
        """Do every job that is due, in the thread of the caller."""
        for gallery in list(self._galleries()):
            for name, job in self._jobs.items():
                if self._stopping.is_set():
                    return
                if self._monotonic() >= self._not_before.get((gallery.name, name), 0.0):
                    self._attempt(gallery, name, job)

    def warnings(self) -> list[str]:
        """What operators should know, a sentence each."""
        return [text for _, text in sorted(self._warnings.items())]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            if self._wake.wait(self._interval_s) and not self._stopping.is_set():
                self._wake.clear()
                self._not_before.clear()

    def _attempt(self, gallery: Gallery, name: str, job: Callable[[Gallery], None]) -> None:
        key = (gallery.name, name)
        try:
            job(gallery)
        except Exception as error:  # whatever a job meets must not end the thread that all jobs need
            self._failures[key] = self._failures.get(key, 0) + 1
            wait_s = min(FIRST_RETRY_S * 2 ** (self._failures[key] - 1), LONGEST_RETRY_S)
            self._not_before[key] = self._monotonic() + wait_s
            known = isinstance(error, ServiceError)
            told = f"upkeep of gallery {gallery.name}: {name} failed ({error}); tried again in {wait_s:.0f} s"
            logger.warning(told, exc_info=None if known else error)
        else:
            self._failures.pop(key, None)

    def _expire(self, gallery: Gallery) -> None:
        self._warn(gallery.name, clock_warning(gallery, self._now()))
        if erased := expire(gallery, self._now()):
            logger.info("gallery %s: erased %d items that were older than it keeps", gallery.name, erased)
        self._not_before[gallery.name, "retention"] = self._monotonic() + EXPIRE_EVERY_S

    def _warn(self, name: str, warning: str | None) -> None:
        if warning is None:
            self._warnings.pop(name, None)
        elif self._warnings.get(name) != warning:
            self._warnings[name] = warning
            logger.warning("%s", warning)

    def _purge(self, gallery: Gallery) -> None:
        if unpurged(gallery) is None:
            self._deleted_since.pop(gallery.name, None)
            return
        began_s = self._monotonic()
        if began_s - self._deleted_since.setdefault(gallery.name, began_s) < self._purge_after_s:
            return
        if purge(gallery, self._now, self._stopping.is_set):
            took_s = self._monotonic() - began_s
            self._deleted_since.pop(gallery.name)
            self._not_before[gallery.name, "purge"] = self._monotonic() + took_s * PURGE_SHARE
            logger.info("gallery %s: purged what deletions had left in its files in %.1f s", gallery.name, took_s)
