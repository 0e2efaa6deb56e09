"""Token buckets: how often somebody may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """One bucket a name, holding at most `burst` tokens and gaining `per_s` a second; a request takes one.

    Only the `most` names that asked last are kept: a bucket that was forgotten starts full.
    """

    def __init__(
        self, per_s: float, burst: int, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name: (tokens, at which time)
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Take a token; 0.0 where there was one, else the seconds until there is one."""
        with self._lock:
            now = self._clock()
            tokens, at = self._kept.pop(name, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - at) * self._per_s)
            wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
            self._kept[name] = (tokens if wait_s else tokens - 1, now)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        return len(self._kept)
