"""HEAD answers like GET, without the body."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

Make = Callable[..., bytes]


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/healthz", "/readyz", "/v1/info", "/v1/items", "/v1/items/1/image", "/v1/items/9", "/x"]
)
def test_head_is_get_without_body(client: TestClient, make_image: Make, path: str) -> None:
    client.post("/v1/items", files=[("images", ("a.jpg", make_image(1)))])
    get, head = client.get(path), client.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert set(head.headers) == set(get.headers)
    assert head.headers.get("content-type") == get.headers.get("content-type")
    assert head.headers["content-length"] == get.headers["content-length"] or path == "/v1/info"


def test_head_where_nothing_answers_get(client: TestClient) -> None:
    answer = client.head("/v1/query")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")
