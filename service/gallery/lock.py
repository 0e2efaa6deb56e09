"""The maintenance lock: one process at a time writes snapshots, purges, expires and compacts a gallery."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

from vitreid.service.gallery.errors import GalleryBusy, disk_errors

FILE = "maintenance.lock"
STAGING = ".gallery.db.maintenance."  # start of the names of folders that only the holder makes, for a while


class MaintenanceLock:
    """A held maintenance lock; the system releases it when the process ends, however that happens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path, command: str) -> Self:
        """Lock the gallery in `folder`; others get this process's id and `command` in their message.

        Raises GalleryBusy where it is locked, by this process too, and GalleryReadOnly.
        """
        with disk_errors(folder / FILE, "written", "check its rights"):
            descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 500).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise GalleryBusy(f"{folder} is locked by {holder}; stop it first, or do this through it") from error
        with suppress(OSError):  # on a full disk others do not read who it is; the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} ({command})\n".encode(), 0)
        for left in folder.glob(f"{STAGING}*"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        return cls(descriptor)

    def release(self) -> None:
        """Let another process lock it. The file stays: who removed it could let two of them in."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
