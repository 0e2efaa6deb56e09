"""Pages of other sites may link to a page of ours, and do nothing else through a user's browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig

Make = Callable[..., bytes]
SITE = "https://cameras.example"
NAVIGATION: dict[str, Any] = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


@pytest.fixture
def shared(config: ServiceConfig) -> Iterator[TestClient]:
    with TestClient(create_app(config.model_copy(update={"cors_origins": SITE}))) as started:
        yield started


def change(client: TestClient, make_image: Make, **headers: str) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/items", files={"images": ("a.jpg", make_image(1))}, headers=sent).status_code


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "", "http://testserver.evil.example", "http://evil-testserver",
        "https://testserver", "http://testserver:8080", "http://user@testserver", "testserver", "http://testserver/x",
        "file://", "http://", "http://testserver http://evil.example",
    ],
)  # fmt: skip
def test_a_change_with_the_origin_of_another_page_is_refused(client: TestClient, make_image: Make, origin: str) -> None:
    """A form of another site on a plain-http name: the browser sends Origin and no Sec-Fetch-Site."""
    answer = client.post("/v1/items", files={"images": ("a.jpg", make_image(1))}, headers={"origin": origin})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")
    assert "VITREID_CORS_ORIGINS" in answer.json()["detail"]
    assert change(client, make_image, origin=origin, sec_fetch_site="same-origin") == 403
    assert client.get("/v1/items").json()["items"] == []


@pytest.mark.parametrize("host", ["testserver", "127.0.0.1:8000", "[::1]:8000"])
def test_a_change_by_our_own_page_is_let_in(client: TestClient, make_image: Make, host: str) -> None:
    assert change(client, make_image, host=host, origin=f"http://{host.upper()}", sec_fetch_site="same-origin") == 200
    assert change(client, make_image, host=f"{host.partition(':')[0]}" if "[" not in host else "[::1]") == 200


def test_a_standard_port_is_the_same_origin_with_and_without_being_named(client: TestClient, make_image: Make) -> None:
    assert change(client, make_image, host="testserver:80", origin="http://testserver") == 200
    assert change(client, make_image, host="testserver", origin="http://testserver:80") == 200


def test_what_was_forwarded_as_https_is_an_origin_of_https(config: ServiceConfig, make_image: Make) -> None:
    with TestClient(create_app(config), base_url="https://testserver") as client:
        assert change(client, make_image, origin="https://testserver") == 200
        assert change(client, make_image, origin="http://testserver") == 403


@pytest.mark.slow
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "path",
    ["/v1/items", "/v1/info", "/v1/audit", "/metrics", "/healthz", "/readyz", "/openapi.json", "/web/page.js", "/"],
)
def test_reads_by_pages_of_other_sites_are_refused(client: TestClient, path: str, site: str) -> None:
    for mode in ("no-cors", "cors", "same-origin"):
        answer = client.get(path, headers={"sec-fetch-site": site, "sec-fetch-mode": mode})
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")
    assert client.get(path, headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_link_leads_to_the_pages_and_not_into_the_api(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", **NAVIGATION}
    for path in ("/", "/docs"):
        assert client.get(path, headers=headers).status_code == 200
    for path in ("/v1/items", "/v1/info", "/metrics"):
        assert client.get(path, headers=headers).status_code == 403
    assert client.get("/v1/items", headers={"sec-fetch-site": "none", **NAVIGATION}).status_code == 200


def test_an_allowed_origin_may_read_and_change(shared: TestClient, make_image: Make) -> None:
    headers = {"origin": SITE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    assert shared.get("/v1/items", headers=headers).headers["access-control-allow-origin"] == SITE
    assert change(shared, make_image, origin=SITE, sec_fetch_site="cross-site") == 200
    assert shared.get("/v1/items", headers={**headers, "origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/docs", "/web/page.js", "/healthz", "/nothing", "/v1/items?limit=0"])
def test_no_answer_may_be_embedded_by_another_site(shared: TestClient, path: str) -> None:
    assert shared.get(path).headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    ["/v1/items", "/v1/items/1", "/v1/info", "/v1/galleries", "/v1/audit?format=jsonl", "/v1/x", "/metrics"],
)
def test_no_cache_keeps_what_the_api_answers(client: TestClient, make_image: Make, path: str) -> None:
    change(client, make_image)
    assert "no-store" in client.get(path).headers["cache-control"]
    assert "no-store" in client.get("/v1/items/1/image").headers["cache-control"]
