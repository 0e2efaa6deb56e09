"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = QUOTA) -> int:
    """Cores that this process is allowed, at least 1: those it is bound to, and no more than its container's quota.

    A container of two CPUs on a machine of 64 sees all 64 of them, and 64 threads that share two are slow.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return bound  # no control groups, or the older ones
    return bound if allowed == "max" else max(1, min(bound, int(allowed) // int(period)))
