"""The files of the pages: sent once, compressed, and asked for again only when they changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from vitreid.service.api.routes.page import ASSETS

FILES = ["/", "/docs", *(f"/web/{name}" for name in ASSETS if not name.endswith(".html"))]


@pytest.mark.slow
def test_a_browser_that_has_a_file_gets_none(client: TestClient) -> None:
    for path in FILES:
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache", path
        etag = first.headers["etag"]
        for condition in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            again = client.get(path, headers={"if-none-match": condition})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), path
            assert client.head(path, headers={"if-none-match": condition}).status_code == 304
        for condition in ("", '"other"', etag.strip('W/"'), "nonsense"):
            assert client.get(path, headers={"if-none-match": condition}).content == first.content, path
    assert len({client.get(path).headers["etag"] for path in FILES}) == len(FILES)


def test_pages_have_no_second_address(client: TestClient) -> None:
    assert client.get("/web/index.html").status_code == client.get("/web/docs.html").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/web/page.js", "/web/page.css", "/openapi.json"])
def test_text_is_compressed_for_those_who_read_that(client: TestClient, path: str) -> None:
    plain = client.get(path, headers={"accept-encoding": "identity"})
    packed = client.get(path, headers={"accept-encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert len(packed.content) == len(plain.content)


def test_images_and_short_answers_are_sent_as_they_are(client: TestClient, make_image: Callable[..., bytes]) -> None:
    client.post("/v1/items", files=[("images", ("a.png", make_image(1, "PNG", (512, 256))))])
    image = client.get("/v1/items/1/image", headers={"accept-encoding": "gzip"})
    assert image.headers.get("content-encoding") is None
    assert len(image.content) > 1024
    assert client.get("/healthz", headers={"accept-encoding": "gzip"}).headers.get("content-encoding") is None
