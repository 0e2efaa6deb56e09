"""The memory of a process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_mib(pid: int | None = None) -> float:
    """The most that a process, this one by default, has held at a time, MiB.

    Linux's VmHWM where it is there: ru_maxrss begins with what the process that started this one held.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
