"""Explanations over HTTP: pairs against a slow comparison, images drawn, rights, and what cannot be explained."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.service.application import service_of
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig

JPEG = {"content-type": "image/jpeg"}
PNG = {"accept": "image/png"}


@pytest.fixture
def client(tmp_path: Path, explained_bundle: Path) -> Iterator[TestClient]:
    config = ServiceConfig(data=tmp_path / "data", bundle=explained_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as started:
        yield started


def add(client: TestClient, content: bytes, **params: str) -> int:
    answer = client.post("/v1/items", files={"images": ("0001_c1_1.jpg", content)}, params=params)
    return int(answer.json()["results"][0]["id"])


def pairs_by_loops(first: bytes, second: bytes) -> set[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Boxes of the foreground cells of two 32x64 images that are each other's nearest in colour."""
    cells = []
    for content in (first, second):
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float64)
        colours = pixels.reshape(8, 8, 4, 8, 3).mean((1, 3)).reshape(32, 3)
        weights = colours.mean(1) / colours.mean(1).sum()
        kept, held = [], 0.0
        for place in sorted(range(32), key=lambda place: -weights[place]):
            if held < 0.8:
                kept.append(place)
                held += weights[place]
        cells.append({place: (colours[place] - 127.4) / np.linalg.norm(colours[place] - 127.4) for place in kept})
    found = set()
    for i, patch in cells[0].items():
        j = max(cells[1], key=lambda place: float(cells[1][place] @ patch))
        if max(cells[0], key=lambda place: float(cells[0][place] @ cells[1][j])) == i:
            found.add((box_of(i), box_of(j)))
    return found


def box_of(place: int) -> tuple[float, ...]:
    top, left = place // 4 * 8, place % 4 * 8
    return (left, top, left + 8, top + 8)


def test_a_image_and_an_item(client: TestClient, make_image: Callable[..., bytes]) -> None:
    sent, stored = make_image(1, "PNG"), make_image(2, "PNG")
    item_id = add(client, stored)
    body = client.post(f"/v1/explain?item_id={item_id}", content=sent, headers={"content-type": "image/png"}).json()
    kept = client.get(f"/v1/items/{item_id}/image").content
    found = {(tuple(pair["query_box"]), tuple(pair["match_box"])) for pair in body["pairs"]}
    assert found == pairs_by_loops(sent, kept)
    similarities = [pair["similarity"] for pair in body["pairs"]]
    assert similarities == sorted(similarities, reverse=True)
    assert body["similarity"] == pytest.approx(np.mean(similarities))
    assert (body["query"]["item_id"], body["match"]["item_id"]) == (None, item_id)
    assert (body["query"]["height"], body["query"]["width"], body["query"]["patches"]) == (64, 32, 32)
    assert 0 < body["query"]["foreground"] < 32
    assert "proves no identity" in body["note"]


def test_boxes_are_in_pixels_of_each_image(client: TestClient, make_image: Callable[..., bytes]) -> None:
    small, large = make_image(1, "PNG"), make_image(1, "PNG", (128, 96))
    body = client.post("/v1/explain", files=[("image", small), ("image", large)]).json()
    assert body["similarity"] == pytest.approx(1, abs=0.01)
    for pair in body["pairs"]:
        scaled = np.array(pair["query_box"]) * [3, 2, 3, 2]
        np.testing.assert_allclose(pair["match_box"], scaled)


def test_two_items_need_no_body(client: TestClient, make_image: Callable[..., bytes]) -> None:
    ids = [add(client, make_image(seed)) for seed in (1, 2)]
    body = client.post("/v1/explain", params={"item_id": ids}).json()
    assert [body["query"]["item_id"], body["match"]["item_id"]] == ids
    turned = client.post("/v1/explain", params={"item_id": ids[::-1]}).json()
    assert {(tuple(pair["match_box"]), tuple(pair["query_box"])) for pair in turned["pairs"]} == {
        (tuple(pair["query_box"]), tuple(pair["match_box"])) for pair in body["pairs"]
    }


def test_the_camera_of_a_image_counts(client: TestClient, make_image: Callable[..., bytes]) -> None:
    client.put("/v1/galleries/default/cameras", json={"mapping": {"gate": "c1"}})
    item_id = add(client, make_image(2))
    bodies = [
        client.post("/v1/explain", params={"item_id": item_id, **camera}, content=make_image(1), headers=JPEG).json()
        for camera in ({}, {"camera_id": "gate"})
    ]
    assert [body["query"]["camera_known"] for body in bodies] == [False, True]
    assert bodies[0]["similarity"] != bodies[1]["similarity"]


@pytest.mark.parametrize(("headers", "params"), [(JPEG | PNG, {}), (JPEG, {"format": "png"})])
def test_the_drawing(
    client: TestClient, make_image: Callable[..., bytes], headers: dict[str, str], params: dict[str, str]
) -> None:
    item_id = add(client, make_image(2, size=(96, 64)))
    asked: dict[str, Any] = {"item_id": item_id, **params}
    answer = client.post("/v1/explain", params=asked, content=make_image(1), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "no-store" in answer.headers["cache-control"]
    sheet = Image.open(io.BytesIO(answer.content))
    assert sheet.height > 384
    assert sheet.width > 192 + 256
    shown = np.asarray(sheet.convert("RGB"))
    between = shown[8:392, 8 + 192 : 8 + 192 + 96]  # lines cross the gap between the images
    assert (between.reshape(-1, 3) != 255).any()


def test_a_very_wide_image_is_drawn_small(client: TestClient, make_image: Callable[..., bytes]) -> None:
    item_id = add(client, make_image(2))
    wide = make_image(1, "PNG", (8, 4000))
    answer = client.post(
        f"/v1/explain?item_id={item_id}&format=png", content=wide, headers={"content-type": "image/png"}
    )
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).width < 1000


@pytest.mark.parametrize(
    ("files", "params", "message"),
    [
        (1, {}, "the request has 1 images"),
        (2, {"item_id": [1]}, "the request has 2 images"),
        (3, {}, "the request has 3 images"),
        (0, {"item_id": [1]}, "the request has 0 images"),
        (0, {"item_id": [1, 1], "camera_id": "c1"}, "at most one camera_id per image"),
    ],
)
def test_two_images_are_needed(
    client: TestClient, make_image: Callable[..., bytes], files: int, params: dict[str, Any], message: str
) -> None:
    add(client, make_image(1))
    sent = [("image", make_image(seed)) for seed in range(files)]
    answer = client.post("/v1/explain", params=params, files=sent or None)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-parameter")
    assert message in answer.json()["detail"]


def test_an_unknown_item(client: TestClient, make_image: Callable[..., bytes]) -> None:
    answer = client.post("/v1/explain?item_id=9", content=make_image(1), headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/item-not-found")


def test_an_item_without_its_image(client: TestClient, make_image: Callable[..., bytes]) -> None:
    client.put("/v1/galleries/default", json={"store_images": False})
    item_id = add(client, make_image(1))
    answer = client.post(f"/v1/explain?item_id={item_id}", content=make_image(1), headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/images-missing")
    assert "choose an item whose image is stored" in answer.json()["detail"]


def test_a_model_that_cannot_explain(tmp_path: Path, tiny_bundle: Path, make_image: Callable[..., bytes]) -> None:
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as client:
        item_id = add(client, make_image(1))
        answers = [
            client.post(f"/v1/explain?item_id={item_id}", content=make_image(1), headers=JPEG),
            client.post("/v1/query?rerank=patches", content=make_image(1), headers=JPEG),
            client.post(f"/v1/query/{add(client, make_image(2))}?rerank=patches"),
            client.put("/v1/galleries/default", json={"store_patches": True}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/explain-unsupported")
            assert "vitreid export explain" in answer.json()["detail"]
        assert client.get("/v1/info").json()["bundle"]["explains"] is False
        assert client.post("/v1/query", content=make_image(1), headers=JPEG).status_code == 200


def test_keys_that_are_limited(client: TestClient, make_image: Callable[..., bytes]) -> None:
    client.put("/v1/galleries/other", json={})
    seen = int(client.post("/v1/items", files={"images": ("0001_c1_1.jpg", make_image(1))}).json()["results"][0]["id"])
    hidden = int(
        client.post("/v1/items", files={"images": ("0001_c2_1.jpg", make_image(2))}).json()["results"][0]["id"]
    )
    elsewhere = add(client, make_image(3), gallery="other")
    access = service_of(client).access
    _, admin = access.keys.create("admin", ["admin"])
    _, text = access.keys.create("gate", ["read"], galleries=["default"], cameras=["c1"])
    key = {"authorization": f"Bearer {text}"}

    def ask(**params: Any) -> int:
        return client.post("/v1/explain", params=params, content=make_image(4), headers=JPEG | key).status_code

    assert ask(item_id=seen) == 200
    assert ask(item_id=hidden) == 404  # as for an item that is not there
    assert ask(item_id=elsewhere, gallery="other") == 403
    assert client.post(f"/v1/explain?item_id={seen}", content=make_image(4), headers=JPEG).status_code == 401
    rows = client.get("/v1/audit?action=explain", headers={"authorization": f"Bearer {admin}"}).json()["rows"]
    assert [(row["items"], row["status"]) for row in rows] == [
        ([seen], 200),
        ([hidden], 404),
        ([], 403),
        ([], 401),
    ]


def test_bad_images(client: TestClient, make_image: Callable[..., bytes]) -> None:
    item_id = add(client, make_image(1))
    answer = client.post(f"/v1/explain?item_id={item_id}", content=b"no image", headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-image")
    answer = client.post(f"/v1/explain?item_id={item_id}", content=b"no image", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
