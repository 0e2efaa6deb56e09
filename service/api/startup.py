"""The parts of a service are opened in a thread while its server already answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from starlette.datastructures import State

from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig

logger = logging.getLogger("vitreid")


class _Stopped(BaseException):
    """The service was stopped before its parts were open."""


class BackgroundStartup:
    """Opens the parts for as long as the block lasts and puts them into an application's state when all are there.

    `opened` hears of that, `failed` that an error ends it, which is then in `error`.
    """

    def __init__(
        self,
        config: ServiceConfig,
        state: State,
        *,
        opened: Callable[[Service], None] = lambda service: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.error: BaseException | None = None
        self._config = config
        self._state = state
        self._opened = opened
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="opening", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the parts; where one of them is still being loaded, that is given up after `drain_s`."""
        self._stop.set()
        self._thread.join(None if self._state.service is not None else self._config.drain_s)

    @property
    def ended(self) -> bool:
        """Whether nothing is open, or being opened, any more."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with open_service(self._config, self._state.metrics, self._doing) as service:
                self._state.service = service
                self._opened(service)
                self._stop.wait()
                self._state.service, self._state.startup_step = None, "the service is stopping"
        except _Stopped:
            logger.info("stopped before everything was loaded")
        except BaseException as error:  # raised again where the server was started
            self.error = error
            self._failed()

    def _doing(self, what: str) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._state.startup_step = f"{what} is still being loaded"
        logger.info("loading %s", what)
