"""Maintenance scheduler: one thread of the service that runs the jobs of its galleries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Self

from vitreid.service.errors import ServiceError
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.maintenance.purging import purge, unpurged
from vitreid.service.gallery.maintenance.retention import clock_warning, expire
from vitreid.service.values.times import utc_now

logger = logging.getLogger("vitreid")

EXPIRE_EVERY_S = 300.0
FIRST_RETRY_S = 10.0
MAX_RETRY_S = 600.0
PURGE_SHARE = 10  # a purge blocks writers: after one of a second the next waits at least ten


class Scheduler:
    """Snapshots, index, retention and purges of the galleries whose maintenance locks a process holds.

    `galleries` returns them at every run, at least each `interval_s` seconds; `jobs` are further jobs by name. Ages
    are measured by `now`, waiting by `monotonic`: a clock that is set back delays nothing and lets nothing expire
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
            "index": lambda gallery: gallery.rebuild_index(only_if_due=True),
            "snapshot": lambda gallery: gallery.write_snapshot(only_if_due=True),
            **jobs,
            "purge": self._purge,
        }
        self._not_before: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._deleted_since: dict[str, float] = {}
        self._warnings: dict[str, str] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current job; a purge that rewrites the database is cancelled and repeated after a start."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """Run the jobs now, as when a retention period was changed."""
        self._woken.set()

    def run_due_jobs(self) -> None:
        """Run every job that is due, in the thread of the caller."""
        for gallery in list(self._galleries()):
            for name, job in self._jobs.items():
                if self._stopping.is_set():
                    return
                if self._monotonic() >= self._not_before.get((gallery.name, name), 0.0):
                    self._attempt(gallery, name, job)

    def warnings(self) -> list[str]:
        """Return warnings for operators, a sentence each."""
        return [text for _, text in sorted(self._warnings.items())]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.run_due_jobs()
            if self._woken.wait(self._interval_s) and not self._stopping.is_set():
                self._woken.clear()
                self._not_before.clear()

    def _attempt(self, gallery: Gallery, name: str, job: Callable[[Gallery], None]) -> None:
        key = (gallery.name, name)
        try:
            job(gallery)
        except Exception as error:  # whatever a job meets must not end the thread that all jobs need
            self._failures[key] = self._failures.get(key, 0) + 1
            wait_s = min(FIRST_RETRY_S * 2 ** (self._failures[key] - 1), MAX_RETRY_S)
            self._not_before[key] = self._monotonic() + wait_s
            known = isinstance(error, ServiceError)
            message = f"maintenance of gallery {gallery.name}: {name} failed ({error}); next attempt in {wait_s:.0f} s"
            logger.warning(message, exc_info=None if known else error)
        else:
            self._failures.pop(key, None)

    def _expire(self, gallery: Gallery) -> None:
        self._warn(gallery.name, clock_warning(gallery, self._now()))
        if erased := expire(gallery, self._now()):
            logger.info("gallery %s: erased %d items older than its retention period", gallery.name, erased)
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
