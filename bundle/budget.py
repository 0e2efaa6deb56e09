"""A limit on the pixels that are decoded and held at a time, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vitreid.bundle.errors import DecodingBusy


class PixelBudget:
    """Pixels that may be held at a time. Who needs more than is left waits, up to `timeout_s`; None: without end.

    An image that is larger than the budget is let in alone. What fits does not wait behind what does not, so small
    images pass large ones.
    """

    def __init__(self, pixels: int, timeout_s: float | None = None) -> None:
        self.pixels, self.timeout_s = pixels, timeout_s
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Hold so many pixels for the block. Raises DecodingBusy where they do not get free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._held or self._held + pixels <= self.pixels, self.timeout_s):
                raise DecodingBusy(
                    f"{self._held:,} pixels are being decoded and {self.pixels:,} may be, so that {pixels:,} found no "
                    f"room within {self.timeout_s:g} s; try again later, or with smaller images"
                )
            self._held += pixels
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()
