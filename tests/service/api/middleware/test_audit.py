"""The audit rows of requests, which are written before the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.application import application_of, service_of
from vitreid.service.access.access import open_records
from vitreid.service.access.audit import AuditFilter, AuditLog, Recorded
from vitreid.service.access.errors import AccessUnusable
from vitreid.service.access.rates import Buckets
from vitreid.service.api.app import create_app
from vitreid.service.api.middleware.audit import AuditMiddleware
from vitreid.service.config import ServiceConfig
from vitreid.service.gallery import Gallery

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}


@pytest.fixture
def log(client: TestClient, config: ServiceConfig) -> Iterator[Callable[[], list[Recorded]]]:
    """Reads the rows as another process does: what it sees is committed."""
    with open_records(config.data, audit_days=365) as (_, audit):
        yield lambda: list(audit.every(AuditFilter()))


def key_of(client: TestClient, *scopes: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {service_of(client).access.keys.create('gate', scopes)[1]}"}


def add(client: TestClient, make_image: Make, count: int) -> None:
    files = [("images", (f"0007_c1s1_{seed:06}_00.jpg", make_image(seed))) for seed in range(count)]
    assert client.post("/v1/items", files=files).json()["added"] == count


@pytest.mark.slow
def test_every_action_leaves_one_row(client: TestClient, log: Callable[[], list[Recorded]], make_image: Make) -> None:
    add(client, make_image, 3)
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/query?k=2", {"content": make_image(1), "headers": JPEG}),
        ("POST", "/v1/query/2?k=1", {}),
        ("POST", "/v1/embed", {"content": make_image(1), "headers": JPEG}),
        ("GET", "/v1/items?person_id=0007", {}),
        ("GET", "/v1/items/2", {}),
        ("GET", "/v1/items/2/image", {}),
        ("PATCH", "/v1/items/2", {"json": {"track_id": "t"}}),
        ("DELETE", "/v1/items/3", {}),
        ("POST", "/v1/erasures", {"json": {"item_ids": [2]}}),
        ("DELETE", "/v1/persons/0007", {}),
        ("PUT", "/v1/galleries/night", {"json": {}}),
        ("DELETE", "/v1/galleries/night", {}),
        ("GET", "/v1/audit", {}),
    ]
    answers = [client.request(method, path, **more) for method, path, more in steps]
    found = [(row.action, row.gallery, sorted(row.items), row.person_id) for row in log()]
    assert found == [
        ("add", "default", [1, 2, 3], None),
        ("query", "default", sorted(match["id"] for match in answers[0].json()["matches"]), None),
        ("query-item", "default", sorted([2, *(match["id"] for match in answers[1].json()["matches"])]), None),
        ("embed", "default", [], None),
        ("list", "default", [], "0007"),
        ("view", "default", [2], None),
        ("view-image", "default", [2], None),
        ("patch", "default", [2], None),
        ("delete", "default", [3], None),
        ("erase", "default", [2], None),
        ("erase-person", "default", [1], None),
        ("gallery-settings", "night", [], None),
        ("gallery-drop", "night", [], None),
        ("audit", None, [], None),
    ]
    assert len(answers[0].json()["matches"]) == 2
    rows = log()[1:]
    assert [row.request_id for row in rows] == [answer.headers["x-request-id"] for answer in answers]
    assert [row.status for row in rows] == [answer.status_code for answer in answers]
    assert {(row.key_id, row.name, row.address) for row in rows} == {(None, "anonymous", None)}


def test_probes_leave_no_rows(client: TestClient, log: Callable[[], list[Recorded]]) -> None:
    for path in ("/", "/healthz", "/readyz", "/v1/info", "/v1/galleries", "/nothing", "/metrics"):
        client.get(path)
    assert log() == []


def test_who_it_was_and_what_was_refused(client: TestClient, log: Callable[[], list[Recorded]]) -> None:
    gate = key_of(client, "read")
    client.get("/v1/items?gallery=nowhere", headers=gate)
    client.get("/v1/items")
    client.get("/v1/info")
    client.delete("/v1/items/5", headers=gate)
    client.delete("/v1/items/5", headers={**gate, "sec-fetch-site": "cross-site"})
    client.delete(f"/v1/persons/{'x' * 3000}?gallery={'y' * 3000}", headers=gate)
    client.get(f"/v1/items/{'9' * 5000}")
    rows = log()
    assert [(row.action, row.name, row.status) for row in rows] == [
        ("list", "gate", 404), ("list", "unknown", 401), ("other", "unknown", 401), ("delete", "gate", 403),
        ("delete", "unknown", 403), ("erase-person", "gate", 403), ("view", "unknown", 401),
    ]  # fmt: skip
    assert rows[0].key_id is not None
    assert [rows[3].key_id, rows[3].items] == [rows[0].key_id, [5]]
    assert (rows[5].person_id, len(rows[5].gallery or "")) == (None, 128)


def test_failures_are_recorded_with_their_status(
    client: TestClient, log: Callable[[], list[Recorded]], make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/v1/query", content=b"no image", headers=JPEG)
    client.post("/v1/query?k=0", content=make_image(1), headers=JPEG)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Gallery, "search", broken)
    assert client.post("/v1/query", content=make_image(1), headers=JPEG).status_code == 500
    assert [(row.action, row.status, row.items) for row in log()] == [
        ("query", 422, []), ("query", 422, []), ("query", 500, []),
    ]  # fmt: skip


def test_the_row_is_committed_before_the_answer_begins(client: TestClient, log: Callable[[], list[Recorded]]) -> None:
    """Seen from where the server sends: when the first byte of an answer leaves, its row can be read by others."""
    seen: list[tuple[str, int]] = []

    async def send(message: Any) -> None:
        seen.append((message["type"], len(log())))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/v1/items", "raw_path": b"/v1/items", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1:2")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(application_of(client)(scope, receive, send))
    assert seen == [("http.response.start", 1), ("http.response.body", 1)]


def test_an_answer_that_cannot_be_recorded_is_not_given(
    client: TestClient, log: Callable[[], list[Recorded]], make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(client, make_image, 1)

    def full(*_: Any) -> None:
        raise AccessUnusable("/secret/access.db cannot be used (disk is full)")

    monkeypatch.setattr(AuditLog, "record", full)
    for answer in (
        client.get("/v1/items/1/image"),
        client.post("/v1/query", content=make_image(0), headers=JPEG),
        client.get("/v1/audit?format=jsonl"),
    ):
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/access-unusable"
        assert answer.headers["retry-after"] == "1"
        assert "secret" not in answer.text
        assert "matches" not in answer.text
    assert client.get("/v1/info").status_code == 200  # leaves no row


def test_who_asks_too_often_gets_a_row_a_second(client: TestClient, log: Callable[[], list[Recorded]]) -> None:
    now = 0.0
    service = service_of(client)
    gate = key_of(client, "read")
    application_of(client).state.service = replace(
        service,
        access=replace(
            service.access,
            rates=Buckets(0.001, 2, clock=lambda: now),
            noted=Buckets(1.0, 1, clock=lambda: now),
        ),
    )
    for _ in range(10):
        client.get("/v1/items", headers=gate)
    now = 1.0
    for _ in range(10):
        client.get("/v1/items", headers=gate)
    assert [row.status for row in log()] == [200, 200, 429, 429]


def test_addresses_are_recorded_where_that_is_wanted(config: ServiceConfig) -> None:
    with_addresses = config.model_copy(update={"audit_addresses": True})
    with TestClient(create_app(with_addresses), client=("192.0.2.9", 1)) as client:
        client.get("/v1/items")
        [row] = service_of(client).access.audit.page(AuditFilter())
    assert row.address == "192.0.2.9"


def test_the_log_over_http(client: TestClient, log: Callable[[], list[Recorded]]) -> None:
    for _ in range(5):
        client.get("/v1/items")
    page = client.get("/v1/audit?limit=2").json()
    assert [row["id"] for row in page["rows"]] == [1, 2]
    assert page["next_after"] == 2
    assert client.get("/v1/audit", params={"after": 4, "action": "list"}).json()["next_after"] is None
    since = page["rows"][1]["at"]
    assert [row["id"] for row in client.get("/v1/audit", params={"until": since}).json()["rows"]] == [1]
    exported = client.get("/v1/audit?format=jsonl&action=list")
    assert exported.headers["content-type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0] == page["rows"][0]
    assert [row.action for row in log()].count("audit") == 4


def test_on_open_routes_nothing_is_recorded() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(AuditMiddleware(app)({"type": "http", "state": {}}, receive, send))
    assert len(sent) == 1
