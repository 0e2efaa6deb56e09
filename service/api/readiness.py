"""Readiness, checked with a test query."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from vitreid.service.access.errors import AccessUnusable
from vitreid.service.errors import NotReady
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.models.batching import MicroBatcher

TRY_S = 5.0
AGAIN_S = 1.0
logger = logging.getLogger("vitreid")


class Readiness:
    """Embeds a grey image as requests do and searches every gallery with it.

    Probes within `again_s` share one check, on one thread, so that they cost little; none waits longer than `try_s`,
    whatever the model does.
    """

    def __init__(
        self,
        batcher: MicroBatcher,
        galleries: Galleries,
        *,
        checks: Mapping[str, Callable[[], str]] = {},
        try_s: float = TRY_S,
        again_s: float = AGAIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher = batcher
        self._galleries = galleries
        self._checks = checks
        self._try_s = try_s
        self._again_s = again_s
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._last: Future[dict[str, str]] | None = None
        self._ended_s = 0.0

    async def check(self) -> dict[str, str]:
        """Return the checks, each "ok". Raises NotReady with the reason."""
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._shared())), self._try_s)
        except TimeoutError as error:
            raise self._late() from error

    def attempt(self, limit_s: float | None = None) -> dict[str, str]:
        """Check now, in the caller's thread, with `limit_s` for the model. Raises NotReady."""
        try:
            embeddings = self._batcher.try_model().result(limit_s).embeddings
            for name, gallery in self._galleries.opened().items():
                try:
                    gallery.search(embeddings, 1)
                except Exception:  # one that was deleted meanwhile may fail in any way
                    if name in self._galleries.opened():
                        raise
            checked = {name: check() for name, check in self._checks.items()}
        except NotReady:
            raise
        except AccessUnusable as error:
            logger.error("%s", error)
            raise NotReady("the audit log cannot be written, so requests are refused; see the log") from error
        except TimeoutError as error:
            raise self._late() from error
        except Exception as error:  # whatever breaks, the answer is "not ready" and not "internal error"
            logger.exception("the readiness check failed")
            raise NotReady(f"a test query failed ({type(error).__name__}); see the log") from error
        return {"embedding": "ok", "search": "ok", **checked}

    def close(self) -> None:
        """Stop checking."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _late(self) -> NotReady:
        return NotReady(
            f"no test query was answered within {self._try_s:g} s; "
            f"{self._batcher.waiting} images wait, and the current run has taken {self._batcher.running_s:.1f} s"
        )

    def _shared(self) -> Future[dict[str, str]]:
        with self._lock:
            old = self._last is not None and self._last.done() and self._clock() - self._ended_s >= self._again_s
            if self._last is None or old:
                self._last = self._thread.submit(self._timed)
            return self._last

    def _timed(self) -> dict[str, str]:
        try:
            return self.attempt(self._try_s)
        finally:
            self._ended_s = self._clock()
