"""Every route requires authorization, or is open on purpose; a new one without either fails here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Router

from tests.service.application import application_of
from vitreid.service.access.access import Access
from vitreid.service.access.principal import SCOPES
from vitreid.service.access.rates import Buckets
from vitreid.service.api.app import create_app
from vitreid.service.api.authorization import Authorization
from vitreid.service.api.problems import MEDIA_TYPE
from vitreid.service.api.routes import ROUTERS
from vitreid.service.config import ServiceConfig

OPEN = {"/", "/docs", "/web/{name}", "/openapi.json", "/healthz", "/readyz"}
"""What needs no key: files of the package, and what orchestrators ask."""

EVERYBODY_WITH_A_KEY = {"/v1/info", "/v1/galleries"}
"""What tells every key something, and a limited one nothing of what it is not for."""


def authorizations(route: APIRoute) -> list[Authorization]:
    return [each.call for each in route.dependant.dependencies if isinstance(each.call, Authorization)]


def unprotected(routes: Iterable[Any]) -> list[str]:
    """Routes that are neither open on purpose nor ask for exactly one scope."""
    return [
        route.path
        for route in routes
        if route.path not in OPEN and not (isinstance(route, APIRoute) and len(authorizations(route)) == 1)
    ]


PROTECTED = [
    route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute) and authorizations(route)
]
CASES = [(route, method) for route in PROTECTED for method in sorted(route.methods or ())]
IDS = [f"{method} {route.path}" for route, method in CASES]
every_route = pytest.mark.parametrize(("route", "method"), CASES, ids=IDS)


def address(route: APIRoute) -> str:
    """An address of the route, in the default gallery."""
    values = {"name": "default", "item_id": "1", "person_id": "somebody"}
    return re.sub(r"{(\w+)[^}]*}", lambda match: values.get(match[1], "x"), route.path)


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_every_route_requires_authorization_or_is_open_on_purpose(client: TestClient) -> None:
    assert unprotected(route for router in ROUTERS for route in router.routes) == []
    # Nothing is added to the application beside the routers.
    others: list[Any] = [route for route in application_of(client).routes if hasattr(route, "path")]
    assert unprotected(others) == []
    assert len(application_of(client).routes) == len(others) + len(ROUTERS)


def test_a_route_without_authorization_is_found() -> None:
    router = APIRouter()

    @router.get("/v1/forgotten")
    async def forgotten() -> None: ...

    router.mount("/files", Router())
    assert unprotected(router.routes) == ["/v1/forgotten", "/files"]


def test_open_routes_need_no_key(client: TestClient, access: Access) -> None:
    access.keys.create("a", ["read"])
    for path in OPEN - {"/web/{name}"} | {"/web/page.js"}:
        answer = client.get(path)
        assert answer.status_code == 200, path
    assert client.get("/readyz").json() == {"status": "ready", "checks": {}}


def test_readiness_shows_its_checks_to_those_with_a_key(client: TestClient, access: Access) -> None:
    _, text = access.keys.create("a", ["read"])
    assert client.get("/readyz", headers=bearer(text)).json()["checks"]
    assert not client.get("/readyz", headers=bearer(text[:-1])).json()["checks"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[TestClient]:
    """One service for all tests of this file: a refused request changes nothing."""
    config = ServiceConfig(data=tmp_path_factory.mktemp("guarded"), bundle=tiny_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as started:
        yield started


@pytest.fixture(scope="module")
def access(client: TestClient) -> Access:
    """Its keys, of which there is one from here on; as many attempts may fail as the tests like."""
    state: Any = application_of(client).state
    patient: Access = replace(state.service.access, failures=Buckets(1e6, 10**6))
    state.service = replace(state.service, access=patient)
    return patient


@pytest.fixture(scope="module")
def open_client(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[TestClient]:
    """A service without keys."""
    config = ServiceConfig(data=tmp_path_factory.mktemp("open"), bundle=tiny_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as started:
        yield started


@pytest.fixture(scope="module")
def refused(access: Access) -> list[dict[str, str]]:
    """Headers that prove nothing, each in another way."""
    key, good = access.keys.create("good", ["admin"])
    revoked_key, revoked = access.keys.create("revoked", ["admin"])
    access.keys.revoke(revoked_key.id)
    _, expired = access.keys.create("expired", ["admin"], expires_in=timedelta(0))
    other_end = good[:-1] + ("A" if good[-1] != "A" else "B")
    return [
        {},
        bearer(""),
        bearer("vitreid"),
        bearer(good[: len(good) // 2]),
        {"authorization": f"Basic {good}"},
        {"authorization": good},
        {"cookie": f"key={good}"},
        bearer(other_end),
        bearer(good.replace(key.id, "aaaaaaaa")),
        bearer(revoked),
        bearer(expired),
        {"x-api-key": ""},
        {"x-api-key": other_end},
    ]


@every_route
def test_without_a_valid_key_it_is_401(
    client: TestClient, refused: list[dict[str, str]], route: APIRoute, method: str
) -> None:
    for headers in refused:
        answer = client.request(method, address(route), headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert answer.json()["type"] == "/problems/unauthorized"


@every_route
def test_with_a_lesser_scope_it_is_403(client: TestClient, access: Access, route: APIRoute, method: str) -> None:
    needed = authorizations(route)[0].scope
    for scopes in ([], *([lesser] for lesser in SCOPES[: SCOPES.index(needed)])):
        _, text = access.keys.create("lesser", scopes)
        answer = client.request(method, address(route), headers=bearer(text))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden"), scopes
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert needed in answer.json()["detail"]


@every_route
def test_out_of_the_keys_gallery_it_is_403_whether_it_exists_or_not(
    client: TestClient, access: Access, route: APIRoute, method: str
) -> None:
    _, text = access.keys.create("elsewhere", ["admin"], galleries=["night"])
    if route.path in EVERYBODY_WITH_A_KEY:
        answer = client.request(method, address(route), headers=bearer(text))
        assert answer.status_code == 200
        assert "default" not in answer.text
        return
    refusals = []
    for query in ("", "?gallery=default&gallery=night", "?gallery=default", "?gallery=nowhere"):
        answer = client.request(method, address(route) + query, headers=bearer(text))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden"), query
        refusals.append(answer.json()["detail"])
    assert refusals[-2] == refusals[-1]


@every_route
def test_the_right_key_is_let_in_by_either_header(
    client: TestClient, access: Access, route: APIRoute, method: str
) -> None:
    _, text = access.keys.create("right", [authorizations(route)[0].scope])
    for headers in (bearer(text), {"authorization": f"bearer {text}"}, {"x-api-key": text}):
        assert client.request(method, address(route), headers=headers).status_code not in {401, 403, 429}


@every_route
def test_while_there_are_no_keys_everybody_is_let_in(open_client: TestClient, route: APIRoute, method: str) -> None:
    for headers in ({}, bearer("vitreid_aaaaaaaa_" + "a" * 43)):
        assert open_client.request(method, address(route), headers=headers).status_code not in {401, 403, 429}


@every_route
def test_its_description_names_the_refusals_and_the_key(client: TestClient, route: APIRoute, method: str) -> None:
    operation = client.get("/openapi.json").json()["paths"][route.path_format][method.lower()]
    assert {"401", "403", "429"} <= set(operation["responses"])
    (authorization,) = authorizations(route)
    assert operation["security"] == [{"bearer": [authorization.scope]}, {"header": [authorization.scope]}]
