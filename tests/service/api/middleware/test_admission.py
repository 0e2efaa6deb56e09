"""Admission of requests, with a real server, real connections, and a model that runs on command."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.types import Message, Receive, Scope, Send

from vitreid.service.api.middleware.admission import STARTS, AdmissionLimits, AdmissionMiddleware, InFlightRequests
from vitreid.service.api.server.serving import address_of, bound_socket, make_server, running
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig

Make = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}
WAIT_S = 30


class Gate:
    """Stands before the model: each run says that it has begun, and goes on when the gate is open."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.sizes: list[int] = []
        self._run = service.embedder.run
        monkeypatch.setattr(service.embedder, "run", self._held)

    def _held(self, pixels: Sequence[NDArray[np.uint8]], cameras: Sequence[str | None]) -> NDArray[np.float32]:
        self.sizes.append(len(pixels))
        self.begun.release()
        assert self.open.wait(WAIT_S)
        return self._run(pixels, cameras)


class Asking:
    """A running service with few places, its gate, and clients in threads."""

    def __init__(self, service: Service, gate: Gate, port: int) -> None:
        self.service = service
        self.gate = gate
        self.port = port
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=WAIT_S)
        self._pool = ThreadPoolExecutor(16)

    def query(self, content: bytes) -> Future[httpx2.Response]:
        return self._pool.submit(self.client.post, "/v1/query", content=content, headers=JPEG)

    def queued(self, images: int) -> None:
        """Wait until so many images wait for the model."""
        until = time.monotonic() + WAIT_S
        while self.service.batcher.waiting != images:
            assert time.monotonic() < until, f"{self.service.batcher.waiting} images wait, not {images}"
            time.sleep(0.002)

    def close(self) -> None:
        self.gate.open.set()
        self._pool.shutdown()
        self.client.close()


@pytest.fixture
def serve(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    @contextmanager
    def start(**settings: Any) -> Iterator[Asking]:
        config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", **settings)
        with open_service(config) as service, bound_socket("127.0.0.1", 0) as listener:
            gate = Gate(service, monkeypatch)
            asking = Asking(service, gate, int(address_of(listener).rpartition(":")[2]))
            try:
                with running(make_server(config, service), listener):
                    yield asking
            finally:
                asking.close()

    return start


def kind_of(answer: httpx2.Response) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


def test_waiting_requests_become_one_run(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_batch=8) as asking:
        first = asking.query(make_image(0))
        assert asking.gate.begun.acquire(timeout=WAIT_S)
        others = [asking.query(make_image(seed)) for seed in range(1, 6)]
        asking.queued(5)
        asking.gate.open.set()
        assert {answer.result().status_code for answer in (first, *others)} == {200}
    assert asking.gate.sizes == [1, 5]


def test_a_full_queue_refuses_with_503(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_batch=1, max_queue=2) as asking:
        running_one = asking.query(make_image(0))
        assert asking.gate.begun.acquire(timeout=WAIT_S)
        waiting = [asking.query(make_image(seed)) for seed in (1, 2)]
        asking.queued(2)
        refused = asking.query(make_image(3)).result()
        assert (refused.status_code, kind_of(refused), refused.headers["retry-after"]) == (503, "queue-full", "1")
        assert asking.client.get("/healthz").status_code == 200
        asking.gate.open.set()
        assert {answer.result().status_code for answer in (running_one, *waiting)} == {200}
        assert asking.query(make_image(3)).result().status_code == 200


def test_more_requests_than_may_be_under_way_are_refused_unread(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_requests=1) as asking:
        inside = asking.query(make_image(0))
        assert asking.gate.begun.acquire(timeout=WAIT_S)
        refused = asking.client.get("/v1/info")
        assert (refused.status_code, kind_of(refused)) == (503, "queue-full")
        assert asking.client.get("/healthz").status_code == 200
        asking.gate.open.set()
        assert inside.result().status_code == 200
        assert asking.client.get("/v1/info").status_code == 200


def test_the_deadline_ends_those_that_run_and_those_that_wait(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_batch=1, deadline_s=0.3) as asking:
        running_one = asking.query(make_image(0))
        assert asking.gate.begun.acquire(timeout=WAIT_S)
        waiting = asking.query(make_image(1))
        for late in (running_one.result(), waiting.result()):
            assert (late.status_code, kind_of(late), late.headers["retry-after"]) == (504, "deadline-exceeded", "1")
            assert late.headers["x-request-id"]
        asking.queued(0)
        asking.gate.open.set()
        assert asking.query(make_image(2)).result().status_code == 200
    assert len(asking.gate.sizes) == 2  # the one that waited was never run


def test_the_deadline_counts_while_waiting_to_be_decoded(
    serve: Callable[..., Any], make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, go_on = threading.Event(), threading.Event()
    with serve(workers=1, deadline_s=0.3) as asking:
        prepare = asking.service.embedder.prepare

        def slow(image: Any) -> Any:
            decoding.set()
            assert go_on.wait(WAIT_S)
            return prepare(image)

        monkeypatch.setattr(asking.service.embedder, "prepare", slow)
        first = asking.query(make_image(0))
        assert decoding.wait(WAIT_S)
        second = asking.query(make_image(1))
        assert [answer.result().status_code for answer in (first, second)] == [504, 504]
        go_on.set()
        asking.gate.open.set()
        assert asking.query(make_image(2)).result().status_code == 200
    assert asking.gate.sizes == [1]


def test_a_client_that_went_away_frees_its_place(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(max_batch=1) as asking:
        running_one = asking.query(make_image(0))
        assert asking.gate.begun.acquire(timeout=WAIT_S)
        content = make_image(1)
        head = (
            "POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", asking.port), timeout=WAIT_S) as connection:
            connection.sendall(head.encode() + content)
            asking.queued(1)
        asking.queued(0)
        asking.gate.open.set()
        assert running_one.result().status_code == 200
    assert asking.gate.sizes == [1]


def test_a_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(
    serve: Callable[..., Any], make_image: Make
) -> None:
    with serve() as asking:
        asking.gate.open.set()
        head = "POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", asking.port), timeout=WAIT_S) as connection:
            connection.sendall(head.encode() + b"some")
        assert asking.query(make_image(1)).result().status_code == 200
    assert asking.gate.sizes == [1]


def test_a_body_that_stalls_is_given_up(serve: Callable[..., Any]) -> None:
    with serve(receive_s=0.2) as asking:
        head = "POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", asking.port), timeout=WAIT_S) as connection:
            connection.sendall(head.encode() + b"some")
            answer = connection.makefile("rb")
            assert answer.readline().split()[1] == b"408"


def test_a_poisoned_image_fails_alone(
    serve: Callable[..., Any], make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as asking:
        poison = make_image(13)
        run = asking.service.embedder.run
        bad = asking.service.embedder.prepare
        prepared: list[NDArray[np.uint8]] = []

        def noted(image: Any) -> Any:
            prepared.append(bad(image))
            return prepared[-1]

        def poisoned(pixels: Sequence[NDArray[np.uint8]], cameras: Sequence[str | None]) -> NDArray[np.float32]:
            if any(np.array_equal(each, prepared[0]) for each in pixels):
                asking.gate.begun.release()
                assert asking.gate.open.wait(WAIT_S)
                raise RuntimeError("/secret: CUDA says no")
            embeddings: NDArray[np.float32] = run(pixels, cameras)
            return embeddings

        monkeypatch.setattr(asking.service.embedder, "prepare", noted)
        monkeypatch.setattr(asking.service.embedder, "run", poisoned)
        asking.gate.open.set()
        alone = asking.query(poison).result()
        assert (alone.status_code, kind_of(alone)) == (422, "embedding-failed")
        assert "secret" not in alone.text
        files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in (12, 13, 14)]
        added = asking.client.post("/v1/items", files=files)
        assert added.status_code == 207
        results = added.json()["results"]
        assert [result["status"] for result in results] == ["added", "error", "added"]
        assert results[1]["error"]["type"] == "/problems/embedding-failed"
        assert asking.query(make_image(14)).result().status_code == 200
        assert asking.client.get("/readyz").status_code == 200


def test_a_broken_model_is_no_bad_image(
    serve: Callable[..., Any], make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("/secret: the device is gone")

    with serve() as asking:
        asking.gate.open.set()
        with monkeypatch.context() as patched:
            patched.setattr(asking.service.embedder, "run", broken)
            failed = asking.query(make_image(1)).result()
            assert (failed.status_code, kind_of(failed)) == (503, "model-failed")
            assert "secret" not in failed.text
        assert asking.query(make_image(1)).result().status_code == 200


def test_stopping_answers_those_that_still_wait(serve: Callable[..., Any], make_image: Make) -> None:
    with serve(drain_s=0) as asking:
        content = make_image(1)
        head = (
            "POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", asking.port), timeout=WAIT_S)
        connection.sendall(head.encode() + content)
        assert asking.gate.begun.acquire(timeout=WAIT_S)
    with connection, connection.makefile("rb") as answer:
        assert answer.readline().split()[1] == b"503"
        body = answer.read().rpartition(b"\r\n\r\n")[2]
        assert json.loads(body)["type"] == "/problems/not-ready"


def test_others_come_in_between_requests_that_begin_at_once() -> None:
    begun: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(message: object = None) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> None:
        limits = AdmissionLimits(max_requests=64, max_body_memory=1000, receive_s=30, deadline_s=30)
        admission = AdmissionMiddleware(app, in_flight=InFlightRequests(), limits=limits)
        paths = ["/v1/info"] * (3 * STARTS) + ["/healthz"]
        scopes: list[Scope] = [{"type": "http", "path": path, "headers": [], "state": {}} for path in paths]
        await asyncio.gather(*(admission(scope, nothing, nothing) for scope in scopes))  # type: ignore[arg-type]

    asyncio.run(ask())
    assert len(begun) == 3 * STARTS + 1
    assert begun.index("/healthz") <= STARTS
