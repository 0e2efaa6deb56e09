"""Accepting connections: several at a time, and never more than the limit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from vitreid.service.api.server.connections import NO_ROOM, Acceptor

CLIENTS = 40


class Answered(asyncio.Protocol):
    """A connection whose request is being answered: it is ended for nobody."""

    waiting_since = None
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as made:
        yield made


async def taken(
    listener: socket.socket, connections: set[Answered], *, most: int, until: Callable[[], bool]
) -> list[socket.socket]:
    """Forty clients that connected before the first turn of the loop, which ends when `until` holds."""

    def make() -> Answered:
        connections.add(made := Answered())
        return made

    clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
    taking = asyncio.create_task(Acceptor(connections, make, max_connections=most).run(listener))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while not until():
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    taking.cancel()
    for each in connections:
        each.transport.abort()
    await asyncio.sleep(0)
    return clients


def test_a_turn_of_the_loop_takes_several(listener: socket.socket) -> None:
    connections: set[Answered] = set()
    turns = 0

    def all_taken() -> bool:
        nonlocal turns
        turns += 1
        return len(connections) == CLIENTS

    for client in asyncio.run(taken(listener, connections, most=8 * CLIENTS, until=all_taken)):
        client.close()
    assert turns < CLIENTS


def test_those_that_come_together_are_never_too_many(listener: socket.socket) -> None:
    connections: set[Answered] = set()
    clients = asyncio.run(taken(listener, connections, most=16, until=lambda: len(connections) >= 16))
    assert len(connections) == 16
    refused = 0
    for client in clients:
        client.settimeout(0.2)
        with client, suppress(ConnectionResetError):
            refused += client.recv(1024) == NO_ROOM
    assert refused == CLIENTS - 16
