"""Room on the disk that is set aside for what must go on when it is full: erasing, and the audit log."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vitreid.service.db.faults import Fault, disk_fault
from vitreid.service.db.sqlite import fault_of
from vitreid.service.errors import ServiceError

T = TypeVar("T")

FILE = "disk.reserve"
RESERVE_BYTES = 32 * 2**20
logger = logging.getLogger("vitreid")


class Reserve:
    """A file of `size` bytes in a data folder, released when the disk is full and made again when it is not.

    While there is none, and no room for one, nothing is added: what was released is not for additions. Where a file of
    this size cannot be made although there is room, as under a quota, additions go on without.
    """

    def __init__(self, folder: Path, size: int | None = None) -> None:
        self.path = folder / FILE
        self.size = RESERVE_BYTES if size is None else size
        self._lock = threading.Lock()

    def fill(self) -> bool:
        """Set the room aside where there is twice as much; return whether it is set aside."""
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
                logger.warning("%s cannot be made (%s); no room is set aside for full disks", self.path, error.strerror)
                return False
            return True

    def release(self) -> bool:
        """Release the room; return whether there was any."""
        with self._lock:
            try:
                self.path.unlink()
            except OSError:
                return False
        logger.error("the disk of %s is full: erasing and the audit log use the room set aside", self.path.parent)
        return True

    def shortage(self) -> str | None:
        """Return why nothing can be added, as a message: only the room for erasing and the audit log is left."""
        if self.fill() or (free := self._free()) >= 2 * self.size:
            return None
        return (
            f"the disk of {self.path.parent} has {free:,} bytes left, and the last {2 * self.size:,} are for "
            "erasing and the audit log; make room"
        )

    def spend(self, task: Callable[[], T]) -> T:
        """Run what must be done; on a full disk a second time, in the room that was set aside."""
        try:
            return task()
        except ServiceError as error:
            if not _is_full(error) or not self.release():
                raise
            return task()

    def state(self) -> str:
        """Return "ok" or why nothing can be added, as the readiness check shows it."""
        return "ok" if self.shortage() is None else "full: nothing can be added"

    def _free(self) -> int:
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize


def _is_full(error: BaseException | None) -> bool:
    if error is None:
        return False
    fault = disk_fault(error) if isinstance(error, OSError) else fault_of(error)
    return fault is Fault.FULL or _is_full(error.__cause__)
