"""Rate limits, failed keys, and cross-origin requests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.paths import REPOSITORY
from tests.service.application import application_of
from vitreid.service.access.rates import Buckets
from vitreid.service.api.app import create_app
from vitreid.service.api.server.serving import KeyRequired, check_address
from vitreid.service.config import ServiceConfig

Make = Callable[..., bytes]
SITE = "https://cameras.example"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def set_access(client: TestClient, **changes: Any) -> Any:
    state: Any = application_of(client).state
    state.service = replace(state.service, access=replace(state.service.access, **changes))
    return state.service.access


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def keys_command(*arguments: str, data: Path) -> str:
    command = [sys.executable, "-m", "vitreid", "keys", *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout.strip()


@pytest.mark.slow
def test_what_another_process_does_to_keys_counts_for_the_next_request(
    client: TestClient, config: ServiceConfig
) -> None:
    """No cache stands between a revocation and the next request."""
    assert client.get("/v1/items").status_code == 200
    text = keys_command("create", "a", "--scope", "read", data=config.data)
    assert client.get("/v1/items").status_code == 401
    assert client.get("/v1/items", headers=bearer(text)).status_code == 200
    keys_command("revoke", text[8:16], data=config.data)
    assert client.get("/v1/items", headers=bearer(text)).status_code == 401
    assert client.get("/v1/items").status_code == 401  # a service that had a key once is never open again


def test_each_key_has_a_rate_of_its_own(client: TestClient) -> None:
    clock = Seconds()
    access = set_access(client, rates=Buckets(0.5, 3, clock=clock))
    one, other = (bearer(access.keys.create(name, ["read"])[1]) for name in ("one", "other"))
    assert [client.get("/v1/items", headers=one).status_code for _ in range(4)] == [200, 200, 200, 429]
    late = client.get("/v1/info", headers=one)  # one rate for all routes
    assert (late.json()["type"], late.headers["retry-after"]) == ("/problems/too-many-requests", "2")
    assert client.get("/v1/items", headers=other).status_code == 200
    assert client.get("/healthz").status_code == 200
    clock.now = 2.0
    assert client.get("/v1/items", headers=one).status_code == 200


def test_without_keys_each_address_has_a_rate(config: ServiceConfig) -> None:
    limited = config.model_copy(update={"rate_per_s": 0.001, "rate_burst": 1})
    app = create_app(limited)
    with TestClient(app, client=("192.0.2.1", 1)) as one:
        other = TestClient(app, client=("192.0.2.2", 1))
        assert [one.get("/v1/items").status_code for _ in range(2)] == [200, 429]
        assert one.get("/v1/items").headers["retry-after"] == "1000"
        assert other.get("/v1/items").status_code == 200


@pytest.mark.slow
def test_by_default_nobody_is_too_fast(client: TestClient) -> None:
    assert {client.get("/v1/info").status_code for _ in range(150)} == {200}


def test_wrong_keys_are_slowed_down_and_good_ones_are_not(client: TestClient) -> None:
    clock = Seconds()
    access = set_access(client, failures=Buckets(1.0, 3, clock=clock))
    good = bearer(access.keys.create("good", ["read"])[1])
    wrong = bearer("vitreid_aaaaaaaa_" + "a" * 43)
    for headers in (wrong, {}):
        assert [client.get("/v1/info", headers=headers).status_code for _ in range(4)] == [401, 401, 401, 429]
        assert client.get("/v1/info", headers=wrong).headers["retry-after"] == "1"
        assert client.get("/v1/info", headers=good).status_code == 200
        clock.now += 60


def test_asking_for_readiness_without_a_key_is_no_failed_attempt(client: TestClient) -> None:
    access = set_access(client, failures=Buckets(0.001, 1))
    access.keys.create("a", ["read"])
    for _ in range(5):
        assert client.get("/readyz").status_code == 200
    assert client.get("/v1/info").status_code == 401


def test_no_other_site_is_let_in_by_default(client: TestClient) -> None:
    preflight = {"origin": SITE, "access-control-request-method": "POST"}
    for answer in (client.get("/v1/info", headers={"origin": SITE}), client.options("/v1/query", headers=preflight)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.fixture
def shared(config: ServiceConfig) -> Iterator[TestClient]:
    opened = config.model_copy(update={"cors_origins": f"{SITE}, http://127.0.0.1:8080"})
    with TestClient(create_app(opened)) as started:
        yield started


def test_only_the_named_origins_are_let_in(shared: TestClient, make_image: Make) -> None:
    asked = {"access-control-request-method": "DELETE", "access-control-request-headers": "authorization,x-api-key"}
    allowed = shared.options("/v1/items/1", headers={**asked, "origin": SITE})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == SITE
    assert "default-src 'self'" in allowed.headers["content-security-policy"]
    files = {"images": ("a.jpg", make_image(1))}
    headers = {"origin": SITE, "sec-fetch-site": "cross-site"}
    added = shared.post("/v1/items", files=files, headers=headers)
    assert (added.status_code, added.headers["access-control-allow-origin"]) == (200, SITE)
    assert "x-request-id" in added.headers["access-control-expose-headers"].lower()
    for other in ("https://evil.example", "https://cameras.example.evil", "http://cameras.example", "null"):
        refused = shared.options("/v1/items/1", headers={**asked, "origin": other})
        assert "access-control-allow-origin" not in refused.headers
        headers = {"origin": other, "sec-fetch-site": "cross-site"}
        answer = shared.post("/v1/items", files=files, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")
        assert "access-control-allow-origin" not in answer.headers


def test_nothing_is_allowed_with_cookies_or_to_every_site(shared: TestClient) -> None:
    answer = shared.get("/v1/info", headers={"origin": SITE, "cookie": "a=b"})
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()


def test_where_keys_are_required_nobody_is_let_in_without_one(config: ServiceConfig) -> None:
    required = config.model_copy(update={"require_keys": True})
    with TestClient(create_app(required)) as client:
        for headers in ({}, bearer("vitreid_aaaaaaaa_" + "a" * 43)):
            answer = client.get("/v1/items", headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
        assert client.get("/readyz").json() == {"status": "ready", "checks": {}}


@pytest.mark.slow
def test_where_keys_are_required_an_empty_data_folder_stops_the_start(config: ServiceConfig) -> None:
    """A disk that is not mounted: neither its keys nor its galleries are there, and nothing is made in their place."""
    required = config.model_copy(update={"require_keys": True, "insecure": True})
    with pytest.raises(KeyRequired, match=r"vitreid keys create NAME .*--data"):
        check_address(required)
    assert not config.data.exists()
    keys_command("create", "a", "--scope", "read", data=config.data)
    check_address(required)
