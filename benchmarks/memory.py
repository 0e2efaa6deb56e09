"""Peak memory of a process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_mib(pid: int | None = None) -> float:
    """Return the peak memory of a process, by default this one, in MiB.

    On Linux this is VmHWM: ru_maxrss would start at the memory of the parent process.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
