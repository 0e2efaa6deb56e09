"""The HTTP server: the port is bound before any work, and a stop lets open requests finish."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from fastapi import FastAPI

from vitreid.service.access.access import keys_exist
from vitreid.service.api.app import create_app
from vitreid.service.api.logs import configure_logging, log_uncaught_errors
from vitreid.service.api.middleware.admission import InFlightRequests
from vitreid.service.api.server.connections import Acceptor, Connection, ConnectionLimits
from vitreid.service.api.startup import BackgroundStartup
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig, names_of, unknown_variables
from vitreid.service.db import open_files
from vitreid.service.errors import PortInUse, ServiceError
from vitreid.service.models.bundle_choice import NOTICE

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING_S = 2  # for the answers of requests that end because the service stops


class NotLoopback(ServiceError):
    """The address can be reached from other machines, without API keys."""

    slug = "not-loopback"


class KeyRequired(ServiceError):
    """A key is required, and there is none."""

    slug = "key-required"


def check_address(config: ServiceConfig) -> None:
    """Raise NotLoopback for an address that other machines can reach without a key, unless `insecure` is set.

    Raises KeyRequired where there is no key and one is required, AccessUnusable where that cannot be known.
    """
    if config.require_keys and not keys_exist(config.data):
        raise KeyRequired(
            f"VITREID_REQUIRE_KEYS is set and {config.data} holds no API key; "
            "mount the disk that has them, or create one: "
            f"vitreid keys create NAME --scope admin --data {config.data}"
        )
    if not config.loopback and not config.insecure and not keys_exist(config.data):
        raise NotLoopback(
            f"host {config.host} can be reached from other machines, and anybody there could read and delete images; "
            f"create a key first (vitreid keys create NAME --scope read --data {config.data}), use --host 127.0.0.1, "
            "or --insecure if something else restricts access"
        )


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket bound to the address, so that a port in use is reported before a model is loaded.

    Raises PortInUse, also for an address that this machine does not have.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise PortInUse(
            f"host {host!r} is not an address of this machine ({error.strerror}); use --host 127.0.0.1"
        ) from error
    listener = socket.socket(family, kind, protocol)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            # Without listening, two processes may both bind: SO_REUSEADDR allows it until one of them listens.
            listener.listen(2048)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}); stop the other program or choose another --port"
            ) from error
        yield listener


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def make_server(config: ServiceConfig, service: Service) -> uvicorn.Server:
    """Make a server of the open service."""
    return _server_of(create_app(config, service), config)


def serve_until_stopped(
    config: ServiceConfig, listener: socket.socket, on_ready: Callable[[Service], None] = lambda service: None
) -> bool:
    """Answer at once and open the parts meanwhile, until SIGINT or SIGTERM; open requests finish first.

    `on_ready(service)` is called when all are open. Returns False if a part was still being loaded at the end. Raises
    what opening the parts raises (service.api.state.open_service).
    """
    open_files.raise_limit()
    app = create_app(config, open_parts=False)
    server = _server_of(app, config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own only while it runs, and then raises the signal again: a stop that was asked for
    # is no failure, so it ends here.
    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        with BackgroundStartup(
            partial(open_service, config, app.state.metrics),
            app.state,
            drain_s=config.drain_s,
            on_ready=on_ready,
            on_error=stop,
        ) as startup:
            server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if startup.error is not None:
        raise startup.error
    return startup.ended


class _Server(uvicorn.Server):
    """Takes connections within limits; at the end, requests get `drain_s` to finish, and a 503 after that."""

    def __init__(
        self,
        config: uvicorn.Config,
        in_flight: InFlightRequests,
        limits: ConnectionLimits,
        *,
        max_connections: int,
        drain_s: float,
    ) -> None:
        super().__init__(config)
        self._in_flight = in_flight
        self._drain_s = drain_s
        self._limits = limits
        self._max_connections = min(max_connections, max(1, open_files.limit() // 2))  # the rest is for files
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets=[])  # by no acceptor of uvicorn's, which has no limits
        connections = cast(set[Connection], self.server_state.connections)
        acceptor = Acceptor(connections, self._connection, max_connections=self._max_connections)
        self._accepting = [asyncio.create_task(acceptor.run(each)) for each in sockets or ()]

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state, self._limits)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end when the open ones have."""
        for task in self._accepting:
            task.cancel()
        self._in_flight.drain(self._drain_s)
        await super().shutdown(sockets)


def _server_of(app: FastAPI, config: ServiceConfig) -> uvicorn.Server:
    proxies = names_of(config.trusted_proxies)
    # service.api.middleware.access_log logs answers, as service.api.logs sets it up.
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        # Without this, uvicorn believes whoever connects from 127.0.0.1, and FORWARDED_ALLOW_IPS.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_keep_alive=config.keep_alive_s,
        timeout_graceful_shutdown=config.drain_s + STOPPING_S,
    )
    limits = ConnectionLimits(receive_s=config.receive_s, send_s=config.send_s)
    return _Server(
        settings, app.state.in_flight, limits, max_connections=config.max_connections, drain_s=config.drain_s
    )


@contextmanager
def running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Serve from another thread for as long as the block lasts."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        thread.join()


logger = logging.getLogger("vitreid")


def serve(config: ServiceConfig) -> None:
    """Serve until SIGINT or SIGTERM. The port is bound first, so that a port in use is reported at once.

    Raises NotLoopback, KeyRequired, PortInUse, and the errors of opening the model and the default gallery.
    """
    check_address(config)
    configure_logging(config.log_level, config.log_format)
    log_uncaught_errors()
    for line in unknown_variables(os.environ):
        logger.warning("%s", line)
    with bound_socket(config.host, config.port) as listener:
        address = address_of(listener)

        def log_ready(service: Service) -> None:
            if service.starter:
                logger.warning(NOTICE)
            sizes = ", ".join(f"{name} ({len(each):,})" for name, each in service.galleries.opened().items())
            message = "serving %s at %s (page /, API /docs); Ctrl-C ends it"
            logger.info(message, sizes, address, extra={"fields": {"address": address}})

        ended = serve_until_stopped(config, listener, log_ready)
    logger.info("stopped")
    if not ended:
        # Native code that loads a model or an index cannot be interrupted, and must not outlive the interpreter.
        os._exit(0)
