"""Bodies by any of the names that clients give them, and never compressed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

Make = Callable[..., bytes]
DOORS = ("/v1/query", "/v1/embed", "/v1/explain?item_id=1")
COMPRESSED = {"gzip": gzip.compress, "deflate": zlib.compress, "br": bytes, "GZIP, identity": gzip.compress}


@pytest.mark.parametrize("kind", ["image/jpg", "IMAGE/JPG; charset=binary", "image/pjpeg"])
def test_jpeg_has_other_names(client: TestClient, make_image: Make, kind: str) -> None:
    client.post("/v1/items", files=[("images", ("a.jpg", make_image(1), kind))])
    for door in DOORS:
        answer = client.post(door, content=make_image(1), headers={"content-type": kind})
        # the tiny model explains nothing, and says so after the image was read
        assert answer.status_code == 200 or answer.json()["type"] == "/problems/explain-unsupported", door


@pytest.mark.slow
@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_compressed_body_is_refused_in_one_clear_line(client: TestClient, make_image: Make, coding: str) -> None:
    compress = COMPRESSED[coding]
    headers = {"content-encoding": coding}
    image, text = compress(make_image(1)), compress(json.dumps({"item_ids": [1]}).encode())
    answers = [client.post(door, content=image, headers={"content-type": "image/jpeg", **headers}) for door in DOORS]
    answers += [
        client.post("/v1/items", files=[("images", ("a.jpg", image))], headers=headers),
        *(
            client.request(method, path, content=text, headers={"content-type": "application/json", **headers})
            for method, path in (
                ("POST", "/v1/erasures"),
                ("PATCH", "/v1/items/1"),
                ("PUT", "/v1/galleries/night"),
                ("PUT", "/v1/galleries/default/cameras"),
            )
        ),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media")
        assert f"has the Content-Encoding {coding!r}" in answer.json()["detail"]
        assert answer.headers["accept-encoding"] == "identity"
    assert [each["name"] for each in client.get("/v1/galleries").json()["galleries"]] == ["default"]


def test_a_body_without_a_coding_is_taken(client: TestClient, make_image: Make) -> None:
    headers = {"content-type": "image/jpeg", "content-encoding": "identity"}
    assert client.post("/v1/query", content=make_image(1), headers=headers).status_code == 200
