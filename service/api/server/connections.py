"""Connections of clients, with limits on their number, and on the time and size of what each sends and reads."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MAX_HEADER_BYTES = 64 * 1024
MAX_UNREAD_BYTES = 256 * 2**20
"""Of all answers together that wait for their clients to read on."""
MIN_BYTES_PER_S = 16 * 1024
"""A client that reads faster than this is never too slow."""
ACCEPTED_AT_ONCE = 64
RETRY_S = 0.1
LOG_EVERY_S = 30.0
NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
GRACE_S = 1.0  # in which the application answers that the body came too late
NO_LINGER = struct.pack("ii", 1, 0)
BEGAN = "began_s"
"""Name in the state of a request: when its first byte came, by the clock of the event loop."""
logger = logging.getLogger("vitreid")


@dataclass(frozen=True)
class ConnectionLimits:
    """Time limits of a client; no byte that it sends or reads extends them."""

    receive_s: float
    """From the first byte of a request to the last one of its body."""
    send_s: float
    """Spent waiting, in all, for a client that reads its answer slower than MIN_BYTES_PER_S."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a time limit on each wait for its client."""

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], limits: ConnectionLimits
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.limits = limits
        self.waiting_since: float | None = None
        """When waiting for its client began; None: a request is being answered."""
        self._receiving: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._header_bytes: int | None = None  # None: no header is being received
        self._patience_s = limits.send_s
        self._paused_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._received()
        self._read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self._receiving is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._header_bytes = 0
        self.scope["state"][BEGAN] = self.waiting_since or self.loop.time()
        if not self.buffered():
            self._patience_s = self.limits.send_s

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is left out."""
        if self._header_bytes is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass the request on."""
        self._header_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is here."""
        self._received()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the rest of the answer to be read, and for the next request."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()
        if self._unread is None and self.buffered():
            self._wait_for_reader()

    def pause_writing(self) -> None:
        """Wait for the client to read on."""
        super().pause_writing()
        self._paused_at = self.loop.time()
        self._wait_for_reader()
        paused = [each for each in self.connections if isinstance(each, Connection) and each.flow.write_paused]
        if sum(each.buffered() for each in paused) > MAX_UNREAD_BYTES:
            min(paused, key=lambda each: each._paused_at).drop()

    def resume_writing(self) -> None:
        """Resume, with less time left for the rest of this answer."""
        super().resume_writing()
        if self._unread is not None:
            self._patience_s = max(0.0, min(self.limits.send_s, self._unread.when() - self.loop.time()))
        self._read()

    def buffered(self) -> int:
        """Return the bytes of answers that its client has not read yet."""
        try:
            return int(self.transport.get_write_buffer_size())
        except RuntimeError:  # uvloop's word for a connection that is gone
            return 0

    def drop(self) -> None:
        """End the connection at once, whatever is still to be sent."""
        self.connections.discard(self)
        with suppress(OSError):  # or the system would go on to send, and to hold, what it has buffered
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: any client can ask for an upgrade as often as it likes."""

    def _expect(self) -> None:
        self.waiting_since = self.loop.time()
        self._receiving = self.loop.call_later(self.limits.receive_s, self._too_late)

    def _received(self) -> None:
        self.waiting_since = None
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _too_late(self) -> None:
        if self._header_bytes is not None or self.cycle is None or self.cycle.response_complete:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._receiving = self.loop.call_later(GRACE_S, self.drop)

    def _refuse(self, status: HTTPStatus) -> None:
        self._header_bytes = None
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()
            self._wait_for_reader()

    def _wait_for_reader(self) -> None:
        self._read()
        rate_s = self.buffered() / MIN_BYTES_PER_S
        self._unread = self.loop.call_later(self._patience_s + rate_s, self._drop_unread)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _drop_unread(self) -> None:
        self._unread = None
        if self.buffered():
            self.drop()


class Acceptor:
    """Takes connections off a listening socket, at most `max_connections` at a time.

    At the limit, the connection whose client has been idle longest is closed for a new one, so that slow clients block
    nobody. A new connection is refused only if every one is being answered.
    """

    def __init__(self, connections: set[Connection], make: Callable[[], Connection], *, max_connections: int) -> None:
        self._connections = connections
        self._make = make
        self._max_connections = max_connections
        self._at_once = max(1, min(ACCEPTED_AT_ONCE, max_connections // 8))
        self._connecting = 0
        self._logged_s = -LOG_EVERY_S

    async def run(self, listener: socket.socket) -> None:
        """Take connections until cancelled."""
        listener.setblocking(False)
        while True:
            try:
                await self._take(listener)
            except OSError as error:  # out of descriptors or memory; or the client was gone already
                self._log(error)
                self._make_room(len(self._connections))
                await asyncio.sleep(RETRY_S)

    async def _take(self, listener: socket.socket) -> None:
        """Accept the connections that wait, several at a time: a busy loop comes back here seldom."""
        clients = [(await asyncio.get_running_loop().sock_accept(listener))[0]]
        try:
            with suppress(BlockingIOError):
                while len(clients) < self._at_once:
                    clients.append(listener.accept()[0])
        finally:
            await asyncio.gather(*(self._connect(each) for each in clients))

    async def _connect(self, client: socket.socket) -> None:
        if not self._make_room(self._max_connections):
            with client, suppress(OSError):
                client.setblocking(False)
                client.send(NO_ROOM)
            return
        self._connecting += 1
        try:
            client.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._make, client)
        except OSError:  # it is gone already
            client.close()
        finally:
            self._connecting -= 1

    def _make_room(self, limit: int) -> bool:
        """Close an idle connection if there are `limit` or more; return whether there is room for another."""
        if len(self._connections) + self._connecting < limit:
            return True
        waiting = [each for each in self._connections if each.waiting_since is not None]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since or 0.0).drop()
        return bool(waiting)

    def _log(self, error: OSError) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            logger.error(
                "a connection cannot be taken (%s); %d are open: raise the limit on open files (ulimit -n), or lower "
                "VITREID_MAX_CONNECTIONS", error.strerror, len(self._connections),
            )  # fmt: skip
