"""Clients that are slow or do nothing: a real server, real sockets, and times that no byte extends."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from vitreid.service.api.server import connections
from vitreid.service.api.server.serving import address_of, bound_socket, make_server, running
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig

Make = Callable[..., bytes]
WAIT_S = 30
HEAD = "POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Attack:
    """A running service and sockets to it, which are all closed in the end."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self.port = int(address.rpartition(":")[2])
        self.client = stack.enter_context(httpx2.Client(base_url=address, trust_env=False, timeout=WAIT_S))
        self._stack = stack

    def connect(self, content: bytes = b"") -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(WAIT_S)
        self._stack.enter_context(connection).connect(("127.0.0.1", self.port))
        connection.sendall(content)
        return connection

    def healthy(self) -> None:
        with httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=WAIT_S) as fresh:
            assert fresh.get("/healthz").status_code == 200


@pytest.fixture
def serve(tmp_path: Path, tiny_bundle: Path) -> Callable[..., Any]:
    @contextmanager
    def start(**settings: Any) -> Iterator[Attack]:
        config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", **settings)
        with (
            open_service(config) as service,
            bound_socket("127.0.0.1", 0) as listener,
            running(make_server(config, service), listener),
            ExitStack() as stack,
        ):
            yield Attack(address_of(listener), stack)

    return start


def drip(connection: socket.socket, content: bytes) -> bytes:
    """Send a byte now and then until the other side ends it; what it answered."""
    answer = b""
    connection.settimeout(0.02)
    try:
        for place in range(100_000):
            connection.send(content[place % len(content) :][:1])
            try:
                if not (part := connection.recv(4096)):
                    return answer
                answer += part
            except TimeoutError:
                pass
    except OSError:
        return answer
    raise AssertionError("the other side never ended it")


def read_all(connection: socket.socket) -> None:
    """Read on until the other side has sent all."""
    while connection.recv(2**20):
        pass


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"GET /" + b"x" * 1000),
        (b"\r\n", b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
    ],
)
def test_headers_that_never_end(serve: Callable[..., Any], start: bytes, more: bytes) -> None:
    with serve(receive_s=0.3) as attack:
        silent = attack.connect(start)
        assert drip(attack.connect(start), more).split(b"\r\n")[0] in (b"HTTP/1.1 408 Request Timeout", b"")
        assert silent.recv(4096).split(b"\r\n")[0] in (b"HTTP/1.1 408 Request Timeout", b"")
        attack.healthy()


def test_line_ends_between_requests_keep_no_connection_open(serve: Callable[..., Any]) -> None:
    with serve(receive_s=0.3) as attack:
        connection = attack.connect(HEALTH)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        drip(connection, b"\r\n")


@pytest.mark.parametrize("path", ["/v1/query", "/healthz"])
def test_a_body_that_is_dripped(serve: Callable[..., Any], path: str) -> None:
    with serve(receive_s=0.3, deadline_s=30) as attack:
        answer = drip(attack.connect((HEAD % 5000).replace("/v1/query", path).encode()), b"x")
        assert answer.split()[1] in (b"408", b"405")
        if path == "/v1/query":
            assert b"/problems/request-timeout" in answer


def test_headers_without_end_in_size(serve: Callable[..., Any]) -> None:
    with serve() as attack:
        connection = attack.connect(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises(OSError):  # noqa: PT011 - reset or a broken pipe
            for _ in range(10_000):
                connection.sendall(b"X-A: " + b"b" * 1000 + b"\r\n")
        assert drip(attack.connect(b"GET /" + b"x" * 70_000), b"x").split()[1:2] in ([b"431"], [])


def test_requests_that_are_half_sent_take_no_place(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_requests=2) as attack:
        for _ in range(20):
            attack.connect((HEAD % 5000).encode() + b"some")
        headers = {"content-type": "image/jpeg"}
        assert attack.client.post("/v1/query", content=make_image(1), headers=headers).status_code == 200
        assert attack.client.get("/v1/info").status_code == 200


def test_bodies_may_hold_so_much_memory_together(serve: Callable[..., Any]) -> None:
    with serve(max_body_memory=100_000) as attack:
        held = [attack.connect((HEAD % 60_000).encode() + b"x" * 50_000) for _ in range(3)]
        answer = b"".join(connection.recv(4096) for connection in held[2:])
        assert b"503 Service Unavailable" in answer
        assert b"/problems/queue-full" in answer
        attack.healthy()


def test_idle_connections_make_room_for_new_ones(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_connections=8) as attack:
        attack.client.get("/healthz")  # a connection that is kept open
        crowd = [attack.connect(HEALTH[:10]) for _ in range(40)]
        crowd += [attack.connect((HEAD % 5000).encode()) for _ in range(40)]
        attack.healthy()
        headers = {"content-type": "image/jpeg"}
        assert attack.client.post("/v1/query", content=make_image(1), headers=headers).status_code == 200
        ended = 0
        for connection in crowd:
            connection.setblocking(False)
            try:
                ended += connection.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                ended += 1
        assert ended >= len(crowd) - 8


def test_a_crowd_that_is_being_answered_keeps_its_connections(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Semaphore(0), threading.Event()

    def held(*_: Any, **__: Any) -> None:
        entered.release()
        assert release.wait(WAIT_S)

    monkeypatch.setattr("vitreid.service.api.info.InfoReport.report", held)
    with serve(max_connections=2) as attack, ThreadPoolExecutor(2) as pool:
        url = f"http://127.0.0.1:{attack.port}/v1/info"
        asked = [pool.submit(httpx2.get, url, trust_env=False, timeout=WAIT_S) for _ in range(2)]
        assert all(entered.acquire(timeout=WAIT_S) for _ in asked)
        assert attack.connect().recv(4096).startswith(b"HTTP/1.1 503")
        release.set()
        assert len([each.result().status_code for each in asked]) == 2
        attack.healthy()


@pytest.fixture
def long_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes /metrics larger than what the system's own buffers take."""
    monkeypatch.setattr("vitreid.service.api.metrics.Metrics.text", lambda self: b"# " + b"x" * (24 * 2**20))


@pytest.mark.slow
@pytest.mark.usefixtures("long_answer")
@pytest.mark.parametrize("connection_header", [b"", b"Connection: close\r\n"])
def test_an_answer_that_nobody_reads(
    serve: Callable[..., Any], connection_header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitreid.service.api.server.connections.MIN_BYTES_PER_S", 2**40)
    with serve(send_s=0.3) as attack:
        ask = HEALTH.replace(b"/healthz", b"/metrics").replace(b"\r\n\r\n", b"\r\n" + connection_header + b"\r\n")
        unread = attack.connect(ask)
        slow = attack.connect(ask)
        drip(slow, b"\r")  # reads 4 KiB each time
        attack.healthy()
        time.sleep(0.3)
        with pytest.raises(ConnectionResetError):
            read_all(unread)


@pytest.mark.usefixtures("long_answer")
def test_unread_answers_are_bounded_together(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.service.api.server.connections.MAX_UNREAD_BYTES", 30 * 2**20)
    with serve() as attack:
        ask = HEALTH.replace(b"/healthz", b"/metrics")
        first = attack.connect(ask)
        assert first.recv(1) == b"H"
        second = attack.connect(ask)
        assert second.recv(1) == b"H"
        with pytest.raises(ConnectionResetError):
            read_all(first)


def test_clients_that_leave_before_their_answer_are_no_errors(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def held(*_: Any, **__: Any) -> None:
        entered.set()
        assert release.wait(WAIT_S)

    monkeypatch.setattr("vitreid.service.api.metrics.Metrics.text", lambda self: held() or b"")
    with serve() as attack:
        leaving = attack.connect(HEALTH.replace(b"/healthz", b"/metrics") * 3)
        assert entered.wait(WAIT_S)
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        leaving.close()
        attack.healthy()
        release.set()
        attack.healthy()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.usefixtures("long_answer")
def test_who_reads_gets_all_of_a_long_answer(serve: Callable[..., Any]) -> None:
    with serve(send_s=0.3) as attack:
        assert len(attack.client.get("/metrics").content) > 24 * 2**20


def test_without_descriptors_one_line_is_logged_and_the_service_goes_on(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = threading.Event()
    take = connections.Acceptor._take

    async def failing(self: connections.Acceptor, listener: socket.socket) -> None:
        if refusing.is_set():
            raise OSError(24, os.strerror(24))
        await take(self, listener)

    monkeypatch.setattr(connections.Acceptor, "_take", failing)
    monkeypatch.setattr(connections, "RETRY_S", 0.001)
    with serve() as attack, caplog.at_level(logging.ERROR, "vitreid"):
        refusing.set()
        with suppress(ConnectionError):  # the acceptor already waited for this one
            attack.connect()
        time.sleep(0.1)
        refusing.clear()
        attack.healthy()
    message = [record.getMessage() for record in caplog.records if "cannot be taken" in record.getMessage()]
    assert len(message) == 1
    assert "ulimit -n" in message[0]
