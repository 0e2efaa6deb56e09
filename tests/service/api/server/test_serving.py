"""A real server on a real port: many clients at once, and nobody waits behind a slow model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from vitreid.service.api.server.serving import address_of, bound_socket, make_server, running
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig
from vitreid.service.errors import PortInUse
from vitreid.service.gallery.gallery import Gallery

Make = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> ServiceConfig:
    """Room for two requests at a time."""
    return ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", workers=2, log_level="error")


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[Service]:
    with open_service(config) as opened:
        yield opened


@pytest.fixture
def client(config: ServiceConfig, service: Service) -> Iterator[httpx2.Client]:
    with (
        bound_socket("127.0.0.1", 0) as listener,
        running(make_server(config, service), listener),
        httpx2.Client(base_url=address_of(listener), trust_env=False, timeout=30) as connected,
    ):
        yield connected


def test_many_clients_at_once_each_get_their_own_answer(client: httpx2.Client, make_image: Make) -> None:
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(12)]
    assert client.post("/v1/items", files=files).json()["added"] == 12

    def ask(seed: int) -> str:
        if seed % 5 == 4:  # a bad one among the good ones
            assert client.post("/v1/query", content=b"no image", headers=JPEG).status_code == 422
        answer = client.post("/v1/query", content=make_image(seed % 12), headers=JPEG, params={"k": 1})
        return str(answer.json()["matches"][0]["source"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(48))) == [f"{seed % 12}.jpg" for seed in range(48)]


def test_the_process_answers_while_the_model_is_busy(
    client: httpx2.Client, service: Service, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()
    run = service.embedder.run

    def slow(*arguments: Any) -> object:
        entered.set()
        assert release.wait(30)
        return run(*arguments)

    monkeypatch.setattr(service.embedder, "run", slow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/v1/query", content=make_image(1), headers=JPEG)
        try:
            assert entered.wait(30)
            assert client.get("/healthz").status_code == 200
            assert not waiting.done()
        finally:
            release.set()
        assert waiting.result().status_code == 200


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:")])
def test_addresses_as_a_browser_takes_them(host: str, shown: str) -> None:
    with bound_socket(host, 0) as listener:
        assert address_of(listener).startswith(shown)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortInUse, match=r"192\.0\.2\.1"), bound_socket("192.0.2.1", 0):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/items"),
        ("POST", "/v1/query"),
        ("POST", "/v1/query/1"),
        ("GET", "/v1/erasures"),
        ("GET", "/v1/audit"),
    ],
)
def test_long_answers_are_written_beside_the_event_loop(
    client: httpx2.Client, make_image: Make, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    client.post("/v1/items", files=[("images", (f"{seed}.jpg", make_image(seed))) for seed in range(3)])
    threads: list[str] = []
    dump = BaseModel.model_dump_json

    def noted(self: BaseModel) -> str:
        threads.append(threading.current_thread().name)
        return dump(self)

    monkeypatch.setattr(BaseModel, "model_dump_json", noted)
    answer = client.request(method, path, content=make_image(1) if path == "/v1/query" else None, headers=JPEG)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert [name.startswith(("writer", "pager")) for name in threads] == [True]


def test_a_slow_reader_of_the_database_holds_up_no_other_answer(
    client: httpx2.Client, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/v1/items", files=[("images", ("1.jpg", make_image(1)))])
    entered, release = threading.Event(), threading.Event()
    items = Gallery.items

    def slow(self: Gallery, *arguments: Any, **options: Any) -> object:
        entered.set()
        assert release.wait(30)
        return items(self, *arguments, **options)

    monkeypatch.setattr(Gallery, "items", slow)
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(client.get, "/v1/items")
        assert entered.wait(30)
        try:
            assert client.post("/v1/query", content=make_image(1), headers=JPEG).status_code == 200
        finally:
            release.set()
        assert listing.result().status_code == 200
