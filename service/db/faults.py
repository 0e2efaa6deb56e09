"""Faults of databases and disks, and the error types that their users raise for them."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from vitreid.service.errors import ServiceError


class Fault(Enum):
    """Kinds of faults that need different remedies."""

    DAMAGED = auto()
    TOO_NEW = auto()
    BUSY = auto()
    FULL = auto()
    READ_ONLY = auto()
    OUT_OF_FILES = auto()
    CLOSED = auto()
    OTHER = auto()


REMEDIES = {
    Fault.DAMAGED: "restore it from a backup",
    Fault.TOO_NEW: "update vitreid",
    Fault.BUSY: "another process is writing to it; try again when it has finished",
    Fault.FULL: "free some disk space and repeat the command; what was acknowledged is kept",
    Fault.READ_ONLY: "check that this user may write the folder and its files",
    Fault.OUT_OF_FILES: "raise the limit on open files (ulimit -n; LimitNOFILE= in a systemd unit)",
    Fault.CLOSED: "open it again",
    Fault.OTHER: "the disk does not read or write; check it and the system's log",
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FILES = {errno.EMFILE, errno.ENFILE}


@dataclass(frozen=True)
class StorageErrors:
    """Error types and remedies that the user of a database wants, by fault."""

    types: Mapping[Fault, type[ServiceError]]
    remedies: Mapping[Fault, str] = field(default_factory=dict)
    """In place of those in REMEDIES."""

    def error(self, fault: Fault, path: Path, reason: str) -> ServiceError:
        """Return the error for a file that cannot be used."""
        found = "is damaged" if fault is Fault.DAMAGED else "cannot be used"
        return self.types[fault](f"{path} {found} ({reason}); {self.remedies.get(fault, REMEDIES[fault])}")


def disk_fault(error: OSError) -> Fault:
    """Return the fault behind an error of a file or folder: full disk, quota and size limit are the same to users."""
    if error.errno in _NO_ROOM:
        return Fault.FULL
    return Fault.OUT_OF_FILES if error.errno in _NO_FILES else Fault.READ_ONLY
