"""Taking connections: as many as there is room for, the longest idle ones making room for new ones."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from vitreid.service.api.server.connections import Connection

AT_ONCE = 64
RETRY_S = 0.1
TOLD_EVERY_S = 30.0
NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
logger = logging.getLogger("vitreid")


class Acceptor:
    """Takes connections off a listening socket, at most `most` at a time.

    Where there are as many, the one whose client has been waited for longest is ended: who sends nothing, or little by
    little, keeps nobody out. Only where every one is being answered, a new one is refused.
    """

    def __init__(self, connections: set[Connection], make: Callable[[], Connection], *, most: int) -> None:
        self._connections = connections
        self._make = make
        self._most = most
        self._at_once = max(1, min(AT_ONCE, most // 8))
        self._connecting = 0
        self._told_s = -TOLD_EVERY_S

    async def run(self, listener: socket.socket) -> None:
        """Take connections until cancelled."""
        listener.setblocking(False)
        while True:
            try:
                await self._take(listener)
            except OSError as error:  # out of descriptors or memory; or the client was gone already
                self._tell(error)
                self._make_room(len(self._connections))
                await asyncio.sleep(RETRY_S)

    async def _take(self, listener: socket.socket) -> None:
        """All that wait, some at a time: a busy loop comes back here seldom."""
        clients = [(await asyncio.get_running_loop().sock_accept(listener))[0]]
        try:
            with suppress(BlockingIOError):
                while len(clients) < self._at_once:
                    clients.append(listener.accept()[0])
        finally:
            await asyncio.gather(*(self._connect(each) for each in clients))

    async def _connect(self, client: socket.socket) -> None:
        if not self._make_room(self._most):
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

    def _make_room(self, most: int) -> bool:
        """Whether there are fewer connections than `most` now."""
        if len(self._connections) + self._connecting < most:
            return True
        waiting = [each for each in self._connections if each.waiting_since is not None]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since or 0.0).drop()
        return bool(waiting)

    def _tell(self, error: OSError) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            logger.error(
                "a connection cannot be taken (%s); %d are open: raise the limit on open files (ulimit -n), or lower "
                "VITREID_MAX_CONNECTIONS", error.strerror, len(self._connections),
            )  # fmt: skip
