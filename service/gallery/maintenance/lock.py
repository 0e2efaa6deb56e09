"""Who keeps a gallery: the one process that writes snapshots, purges, expires and compacts, as long as it lives."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

from vitreid.service.gallery.errors import GalleryBusy
from vitreid.service.gallery.storage_errors import refused

FILE = "keeper.lock"
WORKSHOP = ".gallery.db.keeper."  # start of the names of folders that only a keeper makes, for a while


class MaintenanceLock:
    """The lock of a gallery's keeper; the system lets go of it when the process ends, however that happens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path, command: str) -> Self:
        """Become the keeper of the gallery in `folder`; others are told this process's id and `command`.

        Raises GalleryBusy where there is another keeper, in this process too, and GalleryReadOnly.
        """
        try:
            descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise refused(error)(f"{folder / FILE} cannot be written ({error.strerror}); check its rights") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 500).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise GalleryBusy(f"{folder} is kept by {holder}; stop it first, or do this through it") from error
        with suppress(OSError):  # on a full disk others do not hear who it is; the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} ({command})\n".encode(), 0)
        for left in folder.glob(f"{WORKSHOP}*"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        return cls(descriptor)

    def release(self) -> None:
        """Let another become the keeper. The file stays: who removed it could let two of them in."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
