"""/v1/galleries/{name}/cameras."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

ADDRESS = "/v1/galleries/default/cameras"


def add(client: TestClient, content: bytes, camera_id: str) -> None:
    form = {"metadata": json.dumps({"camera_id": camera_id})}
    assert client.post("/v1/items", files={"images": ("a.png", content)}, data=form).json()["added"] == 1


def test_cameras_are_unknown_until_they_are_mapped(client: TestClient, make_image: Callable[..., bytes]) -> None:
    assert client.get(ADDRESS).json() == {"gallery": "default", "cameras": [], "learned": ["c1", "c2"]}
    add(client, make_image(1), "c1")
    [camera] = client.get(ADDRESS).json()["cameras"]
    assert camera == {"camera_id": "c1", "learned": None, "items": 1, "stale": 0, "rejected": {}}
    answer = client.put(ADDRESS, json={"mapping": {"c1": "c1", "gate": "c2"}})
    assert answer.status_code == 200
    assert answer.json() == client.get(ADDRESS).json()
    assert [(each["camera_id"], each["learned"], each["stale"]) for each in answer.json()["cameras"]] == [
        ("c1", "c1", 1),
        ("gate", "c2", 0),
    ]
    add(client, make_image(2), "gate")
    assert client.get("/v1/items/2").json()["model_camera"] == "c2"
    query: dict[str, Any] = {"content": make_image(2), "headers": {"content-type": "image/jpeg"}}
    assert client.post("/v1/query?camera_id=gate", **query).json()["query"]["camera_known"] is True
    assert client.post("/v1/query?camera_id=c2", **query).json()["query"]["camera_known"] is False


def test_a_gallery_has_its_own_mapping(client: TestClient) -> None:
    assert client.put("/v1/galleries/night", json={}).status_code == 201
    client.put("/v1/galleries/night/cameras", json={"mapping": {"gate": "c1"}})
    assert client.get(ADDRESS).json()["cameras"] == []
    assert len(client.get("/v1/galleries/night/cameras").json()["cameras"]) == 1
    assert client.get("/v1/galleries/none/cameras").json()["type"] == "/problems/gallery-not-found"
    assert client.put("/v1/galleries/none/cameras", json={"mapping": {}}).status_code == 404


def test_what_was_not_learned_is_refused(client: TestClient) -> None:
    answer = client.put(ADDRESS, json={"mapping": {"gate": "c9"}})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-name")
    assert "'c9': choose one of c1, c2" in answer.json()["detail"]
    assert client.get(ADDRESS).json()["cameras"] == []
    assert client.put("/v1/galleries/default", json={"cameras": {"gate": "c9"}}).status_code == 422


@pytest.mark.parametrize("body", [{}, {"mapping": []}, {"mapping": {"": "c1"}}, {"mapping": {"a": None}}, {"map": {}}])
def test_wrong_mappings_are_refused(body: Any, client: TestClient) -> None:
    assert client.put(ADDRESS, json=body).status_code == 422
