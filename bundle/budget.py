"""A limit on the pixels that are decoded at a time, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vitreid.bundle.errors import DecodingBusy


class PixelBudget:
    """A limit on pixels in memory. Whoever needs more than is left waits up to `timeout_s`; None: without limit.

    An image larger than the whole budget is let in alone. Images that fit do not queue behind those that do not, so
    small images pass large ones.
    """

    def __init__(self, pixels: int, timeout_s: float | None = None) -> None:
        self.pixels, self.timeout_s = pixels, timeout_s
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Hold this many pixels for the block. Raises DecodingBusy if they do not become free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._held or self._held + pixels <= self.pixels, self.timeout_s):
                raise DecodingBusy(
                    f"{self._held:,} pixels are being decoded and at most {self.pixels:,} are allowed: {pixels:,} more "
                    f"did not fit within {self.timeout_s:g} s; try again later, or with smaller images"
                )
            self._held += pixels
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()
