"""Room on the disk that is kept for what must go on when it is full: erasing, and recording who asked for what."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vitreid.service.errors import ServiceError
from vitreid.service.gallery.errors import GalleryFull

T = TypeVar("T")

FILE = "disk.reserve"
RESERVE_BYTES = 32 * 2**20
logger = logging.getLogger("vitreid")


class Reserve:
    """A file of `size` bytes in a data folder, given up where the disk is full and made again when it is not.

    While there is none, and no room for one, nothing is added: what it gave up is not for additions. Where a file of
    this size cannot be made although there is room, as under a quota, additions go on without.
    """

    def __init__(self, folder: Path, size: int | None = None) -> None:
        self.path = folder / FILE
        self.size = RESERVE_BYTES if size is None else size
        self._lock = threading.Lock()

    def fill(self) -> bool:
        """Set the room aside where there is twice as much; whether it is set aside."""
        with self._lock:
            if self.path.exists():
                return True
            if self._free() < 2 * self.size:
                return False
            try:
                with self.path.open("xb") as file:
                    os.posix_fallocate(file.fileno(), 0, self.size)
            except OSError as error:
                self.path.unlink(missing_ok=True)
                logger.warning("%s cannot be made (%s); nothing is kept for a full disk", self.path, error.strerror)
                return False
            return True

    def release(self) -> bool:
        """Give the room up; whether there was any."""
        with self._lock:
            try:
                self.path.unlink()
            except OSError:
                return False
        logger.error("the disk of %s is full: erasing and the audit log use what was kept for them", self.path.parent)
        return True

    def check_room(self) -> None:
        """Raise GalleryFull where only what is kept for erasing and the audit log is left."""
        if not self.fill() and (free := self._free()) < 2 * self.size:
            raise GalleryFull(
                f"the disk of {self.path.parent} has {free:,} bytes left, and the last {2 * self.size:,} are for "
                "erasing and the audit log; make room"
            )

    def spend(self, task: Callable[[], T]) -> T:
        """Do what must be done; on a full disk a second time, in the room that was kept."""
        try:
            return task()
        except ServiceError as error:
            if not _is_full(error) or not self.release():
                raise
            return task()

    def state(self) -> str:
        """Whether something can be added, as the readiness check shows it."""
        try:
            self.check_room()
        except GalleryFull:
            return "full: nothing can be added"
        return "ok"

    def _free(self) -> int:
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize


def _is_full(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, GalleryFull) or _is_full(error.__cause__))
