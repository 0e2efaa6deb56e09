"""Nobody who may not use a route makes the service read, or parse, a byte of the body."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.application import application_of, service_of
from vitreid.service.access.audit import AuditFilter, Recorded
from vitreid.service.access.rates import Buckets
from vitreid.service.api.authorization import authorization_of

JSON: dict[str, Any] = {"content-type": "application/json"}
JSON_ROUTES = [
    ("PATCH", "/v1/items/1"), ("PUT", "/v1/galleries/night"), ("PUT", "/v1/galleries/default/cameras"),
    ("POST", "/v1/erasures"),
]  # fmt: skip


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


def rows(client: TestClient) -> list[Recorded]:
    return list(service_of(client).access.audit.every(AuditFilter()))


def test_these_are_all_routes_that_read_json(client: TestClient) -> None:
    found = {
        (method, route.path)
        for route in application_of(client).state.api_routes
        for method in getattr(route, "methods", ())
        if getattr(route, "body_field", None) is not None
    }
    assert len(found) == len(JSON_ROUTES)


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
@pytest.mark.parametrize("body", [b"{broken", b"", b"[" * 10_000, b'"\xff"'])
def test_a_body_that_is_no_json_does_not_come_before_the_key(
    client: TestClient, method: str, path: str, body: bytes
) -> None:
    service_of(client).access.keys.create("a", ["admin"])
    answer = client.request(method, path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
    [row] = rows(client)
    assert (row.status, row.name, row.action != "other") == (401, "unknown", True)


def asked(client: TestClient, method: str, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """Status of the answer, and how often the service asked for a part of the body."""
    reads, statuses = 0, []

    async def receive() -> Any:
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": b"x" * 2**16, "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    given = {"host": "testserver", **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(application_of(client)(scope, receive, send))
    return statuses[0], reads


def test_protected_routes_read_no_byte_before_authorization(client: TestClient) -> None:
    service = service_of(client)
    patient = replace(service.access, failures=Buckets(1e6, 10**6))
    application_of(client).state.service = replace(service, access=patient)
    _, nothing = patient.keys.create("nothing", [])
    refusals = [({}, 401), ({"x-api-key": nothing[:-1]}, 401), ({"x-api-key": nothing}, 403),
                ({"origin": "https://evil.example"}, 403)]  # fmt: skip
    routes = [route for route in application_of(client).state.api_routes if authorization_of(route)]
    assert routes
    for route in routes:
        path = re.sub(r"{\w+[^}]*}", "1", route.path)
        for method in route.methods:
            for headers, status in refusals:
                assert asked(client, method, path, headers) == (status, 0), (method, path)


def test_a_json_body_over_its_own_cap_is_refused(client: TestClient) -> None:
    def stream() -> Any:  # without a Content-Length: what arrives is counted
        for _ in range(5):
            yield b" " * 2**16

    for method, path in JSON_ROUTES:
        for content in (b" " * (2**18 + 1), stream()):
            answer = client.request(method, path, content=content, headers=JSON)
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large"), (method, path)
            assert "262,144" in answer.json()["detail"]
    assert client.post("/v1/erasures", content=b'{"item_ids": [1]}'.ljust(2**18), headers=JSON).status_code == 404


def test_a_length_of_thousands_of_digits_is_too_large(client: TestClient) -> None:
    headers = {**JSON, "content-length": "9" * 5000}
    assert client.post("/v1/erasures", content=b"{}", headers=headers).status_code == 413


def test_a_route_answers_no_caller_that_the_middleware_did_not_admit(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that comes past the gate by a mistake of ours gets nothing."""
    monkeypatch.setattr("vitreid.service.api.middleware.route.RouteMiddleware._find", lambda self, scope: None)
    assert client.get("/v1/items").status_code == 500
