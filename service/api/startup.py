"""Startup in a thread, while the server already answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from starlette.datastructures import State

from vitreid.service.api.state import Service

logger = logging.getLogger("vitreid")


class _Stopped(BaseException):
    """The service was stopped before its parts were open."""


class BackgroundStartup:
    """Opens the parts for as long as the block lasts and puts them into the application's state.

    `open_parts(on_progress)` opens them. `on_ready(service)` is called when all are open, `on_error()` when an error
    ends the startup; `error` holds it.
    """

    def __init__(
        self,
        open_parts: Callable[[Callable[[str], None]], AbstractContextManager[Service]],
        state: State,
        *,
        drain_s: float,
        on_ready: Callable[[Service], None] = lambda service: None,
        on_error: Callable[[], None] = lambda: None,
    ) -> None:
        self.error: BaseException | None = None
        self._open_parts = open_parts
        self._drain_s = drain_s
        self._state = state
        self._on_ready = on_ready
        self._on_error = on_error
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="startup", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the parts; a part that is still being loaded is given up after `drain_s`."""
        self._stop.set()
        self._thread.join(None if self._state.service is not None else self._drain_s)

    @property
    def ended(self) -> bool:
        """True once nothing is open or being opened."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._open_parts(self._on_progress) as service:
                self._state.service = service
                self._on_ready(service)
                self._stop.wait()
                self._state.service, self._state.startup_step = None, "the service is stopping"
        except _Stopped:
            logger.info("stopped before everything was loaded")
        except BaseException as error:  # raised again where the server was started
            self.error = error
            self._on_error()

    def _on_progress(self, step: str) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._state.startup_step = f"{step} is still being loaded"
        logger.info("loading %s", step)
