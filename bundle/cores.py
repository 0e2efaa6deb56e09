"""The number of CPU cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = QUOTA) -> int:
    """Return the number of cores that this process may use, at least 1: its CPU affinity, limited by its cgroup quota.

    A container with a quota of 2 CPUs on a machine of 64 sees all 64, and 64 threads that share 2 are slow.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return affinity  # no cgroups, or version 1
    return affinity if allowed == "max" else max(1, min(affinity, int(allowed) // int(period)))
