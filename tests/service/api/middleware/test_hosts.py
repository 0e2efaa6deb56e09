"""Host names that are answered, checked before anything else: names that other sites gave this machine are not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vitreid.service.api.app import create_app
from vitreid.service.api.server.serving import bound_socket, make_server, running
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig, SettingsError, load_config

PATHS = ("/", "/docs", "/web/page.js", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/items", "/nothing")


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


@pytest.fixture
def named(config: ServiceConfig) -> Iterator[TestClient]:
    """A service behind a proxy, scraped by another name, on an address that is not loopback."""
    reached = config.model_copy(
        update={"allowed_hosts": "vitreid.example, vitreid, 2001:db8::5", "host": "192.168.1.5"}
    )
    with TestClient(create_app(reached), raise_server_exceptions=False) as started:
        yield started


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:9000", "127.3.2.1", "[::1]", "[::1]:8000", "[::ffff:127.0.0.1]", "localhost",
        "LocalHost:8000", "localhost.", "192.168.1.5:8000", "vitreid.example", "VITREID.example:443",
        "vitreid.example.",
        "vitreid:8000", "[2001:DB8::5]", "[2001:db8:0:0::5]:8000",
    ],
)  # fmt: skip
def test_own_and_named_hosts_are_answered(named: TestClient, host: str) -> None:
    assert named.get("/v1/items", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "testserver", "vitreid.example.evil.example", "evil-vitreid.example",
        "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.6", "0.0.0.0", "[::]", "128.0.0.1", "",
        "vitreid.example, vitreid", "vitreid.example/x", "user@vitreid.example", "vitreid.example:80:80",
        "[vitreid.example]",
        "vitreid.example:", "::1", "*", "127.0.0.1 ", "vitreid.example..",
    ],
)  # fmt: skip
def test_every_other_host_is_refused_everywhere(named: TestClient, host: str) -> None:
    for path in PATHS:
        answer = named.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()["type"]) == (421, "/problems/misdirected-request"), path
        assert "VITREID_ALLOWED_HOSTS" in answer.json()["detail"]
        assert answer.json()["instance"] == path


def test_a_refused_host_reaches_no_route_and_no_preflight(named: TestClient) -> None:
    for method in ("POST", "DELETE", "OPTIONS"):
        assert named.request(method, "/v1/items", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("given", ["https://a.example", "a.example:80", "a b", "a.example/x", "*", "*.example", "[::1"])
def test_a_setting_that_is_no_host_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="VITREID_ALLOWED_HOSTS"):
        load_config(allowed_hosts=given)


def status_line(port: int, *lines: str) -> str:
    """The first line of the answer to a request as it is written on the wire."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return client.makefile("rb").readline().decode().strip()


def test_on_the_wire_of_a_server_on_all_addresses(tmp_path: Path, tiny_bundle: Path) -> None:
    """The address that the connection was made to counts; what a request claims in other places does not."""
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", host="0.0.0.0")
    with (
        open_service(config) as service,
        bound_socket("0.0.0.0", 0) as listener,
        running(make_server(config, service), listener),
    ):
        port = listener.getsockname()[1]
        get = "GET /v1/info HTTP/1.1"
        assert "200" in status_line(port, get, f"Host: 127.0.0.1:{port}")
        assert "421" in status_line(port, get, "Host: evil.example")
        assert "421" in status_line(port, get, "Host: evil.example", "X-Forwarded-Host: 127.0.0.1")
        assert "421" in status_line(port, "GET http://127.0.0.1/v1/info HTTP/1.1", "Host: evil.example")
        assert "421" in status_line(port, "GET /v1/info HTTP/1.0")
        for line in (["Host: 127.0.0.1", "Host: evil.example"], ["Host: evil.example", "Host: 127.0.0.1"], []):
            assert any(status in status_line(port, get, *line) for status in ("421", "400")), line
