"""Rate limits by token buckets."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """One bucket a name, holding at most `burst` tokens and gaining `per_s` a second; a request takes one.

    Only the `max_names` most recent names are stored; a dropped bucket starts full again.
    """

    def __init__(
        self, per_s: float, burst: int, *, max_names: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_names = max_names
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name: (tokens, time)
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Take a token; return 0.0, or the seconds until there is one."""
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.pop(name, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - at) * self._per_s)
            wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
            self._buckets[name] = (tokens if wait_s else tokens - 1, now)
            if len(self._buckets) > self._max_names:
                self._buckets.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        return len(self._buckets)
