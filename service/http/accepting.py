"""Taking connections: as many as there is room for, the longest idle ones making room for new ones."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from service.http.connections import Connection

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
        loop = asyncio.get_running_loop()
        client, _ = await loop.sock_accept(listener)
        if not self._make_room(self._most):
            with client:
                client.send(NO_ROOM)
            return
        try:
            await loop.connect_accepted_socket(self._make, client)
        except BaseException:
            client.close()
            raise

    def _make_room(self, most: int) -> bool:
        """Whether there are fewer connections than `most` now."""
        if len(self._connections) < most:
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
                "REID_MAX_CONNECTIONS", error.strerror, len(self._connections),
            )  # fmt: skip
