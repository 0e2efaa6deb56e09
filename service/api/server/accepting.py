"""Acceptor of connections, up to a limit; the longest idle ones make room for new ones."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from vitreid.service.api.server.connections import Connection

AT_ONCE = 64
RETRY_S = 0.1
LOG_EVERY_S = 30.0
NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
logger = logging.getLogger("vitreid")


class Acceptor:
    """Takes connections off a listening socket, at most `max_connections` at a time.

    At the limit, the connection whose client has been idle longest is closed for a new one, so that slow clients block
    nobody. A new connection is refused only if every one is being answered.
    """

    def __init__(self, connections: set[Connection], make: Callable[[], Connection], *, max_connections: int) -> None:
        self._connections = connections
        self._make = make
        self._max_connections = max_connections
        self._at_once = max(1, min(AT_ONCE, max_connections // 8))
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
