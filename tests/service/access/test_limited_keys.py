"""Keys limited to cameras or galleries: the items that they see, find and may change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.application import service_of

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}
CAMERAS = ["c1", "c2", "c1", None, "c2"]


def as_key(client: TestClient, scope: str = "admin", **limits: list[str]) -> dict[str, str]:
    service: Any = service_of(client)
    return {"authorization": f"Bearer {service.access.keys.create('limited', [scope], **limits)[1]}"}


@pytest.fixture
def filled(client: TestClient, make_image: Make) -> TestClient:
    """Items 1 to 5 of the cameras in CAMERAS."""
    labels = [{} if camera is None else {"camera_id": camera} for camera in CAMERAS]
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(5)]
    answer = client.post("/v1/items", files=files, data={"metadata": json.dumps(labels)})
    assert [result["id"] for result in answer.json()["results"]] == [1, 2, 3, 4, 5]
    return client


def ids(answer: Any, field: str) -> list[int]:
    assert answer.status_code == 200, answer.text
    return sorted(each["id"] for each in answer.json()[field])


def test_lists_and_queries_show_only_its_cameras(filled: TestClient, make_image: Make) -> None:
    gate = as_key(filled, "read", cameras=["c1"])
    assert ids(filled.get("/v1/items", headers=gate), "items") == [1, 3]
    assert ids(filled.get("/v1/items?cameras=c2&cameras=c1", headers=gate), "items") == [1, 3]
    assert ids(filled.get("/v1/items?cameras=c2", headers=gate), "items") == []
    for seed in range(5):
        answer = filled.post("/v1/query?k=5", content=make_image(seed), headers={**gate, **JPEG})
        assert ids(answer, "matches") == [1, 3]
    assert ids(filled.post("/v1/query/1?k=5", headers=gate), "matches") == [3]


@pytest.mark.parametrize("item_id", [2, 4])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/items/{}", None),
        ("GET", "/v1/items/{}/image", None),
        ("PATCH", "/v1/items/{}", {"person_id": "somebody"}),
        ("DELETE", "/v1/items/{}", None),
        ("POST", "/v1/query/{}", None),
    ],
)
def test_items_of_other_cameras_are_as_if_they_were_not_there(
    filled: TestClient, method: str, path: str, body: object, item_id: int
) -> None:
    gate = as_key(filled, "write", cameras=["c1"])
    hidden = filled.request(method, path.format(item_id), json=body, headers=gate)
    missing = filled.request(method, path.format(99), json=body, headers=gate)
    assert hidden.status_code == missing.status_code == 404
    for field in ("type", "title", "detail"):
        assert hidden.json()[field].replace(str(item_id), "99") == missing.json()[field]
    everything = as_key(filled)
    assert filled.get(f"/v1/items/{item_id}", headers=everything).json()["person_id"] is None


def test_its_own_items_may_be_seen_changed_and_taken_out(filled: TestClient) -> None:
    gate = as_key(filled, "write", cameras=["c1"])
    assert filled.get("/v1/items/1/image", headers=gate).status_code == 200
    assert filled.patch("/v1/items/1", json={"person_id": "p"}, headers=gate).json()["person_id"] == "p"
    assert filled.delete("/v1/items/1", headers=gate).status_code == 204
    assert ids(filled.get("/v1/items", headers=gate), "items") == [3]


@pytest.mark.parametrize("camera", ["c2", None])
def test_nothing_is_added_or_moved_outside_of_its_cameras(
    filled: TestClient, make_image: Make, camera: str | None
) -> None:
    gate = as_key(filled, "write", cameras=["c1"])
    labels = [{"camera_id": "c1"}, {} if camera is None else {"camera_id": camera}]
    files = [("images", (f"new{seed}.jpg", make_image(10 + seed))) for seed in range(2)]
    answer = filled.post("/v1/items", files=files, data={"metadata": json.dumps(labels)}, headers=gate)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    answer = filled.patch("/v1/items/1", json={"camera_id": camera}, headers=gate)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    everything = filled.get("/v1/items", headers=as_key(filled)).json()["items"]
    assert [item["camera_id"] for item in everything] == CAMERAS


def test_its_own_camera_may_be_added_to(filled: TestClient, make_image: Make) -> None:
    gate = as_key(filled, "write", cameras=["c1"])
    files = [("images", ("0001_c1s1_000001_00.jpg", make_image(20)))]  # the camera is in the name
    assert filled.post("/v1/items", files=files, headers=gate).json()["added"] == 1
    files = [("images", ("0001_c2s1_000001_00.jpg", make_image(21)))]
    assert filled.post("/v1/items", files=files, headers=gate).status_code == 403


@pytest.mark.parametrize("limits", [{"cameras": ["c1"]}, {"galleries": ["default"]}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/persons/somebody"),
        ("POST", "/v1/erasures"),
        ("GET", "/v1/erasures"),
        ("PUT", "/v1/galleries/default"),
        ("DELETE", "/v1/galleries/default"),
        ("PUT", "/v1/galleries/default/cameras"),
        ("GET", "/v1/audit"),
        ("GET", "/metrics"),
    ],
)
def test_what_concerns_everybody_needs_a_key_without_limits(
    filled: TestClient, method: str, path: str, limits: Any
) -> None:
    answer = filled.request(method, path, headers=as_key(filled, **limits))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert "without limits" in answer.json()["detail"]


def test_cameras_that_it_is_not_for_are_not_listed(filled: TestClient) -> None:
    gate = as_key(filled, "read", cameras=["c1"])
    listed = filled.get("/v1/galleries/default/cameras", headers=gate).json()["cameras"]
    assert [camera["camera_id"] for camera in listed] == ["c1"]
    assert filled.get("/v1/info", headers=gate).json()["gallery"] is None
    [gallery] = filled.get("/v1/galleries", headers=gate).json()["galleries"]
    assert (gallery["name"], gallery["size"], gallery["settings"]) == ("default", None, None)


def test_a_gallery_key_lists_its_gallery_only(filled: TestClient) -> None:
    everything = as_key(filled)
    for name in ("day", "night"):
        assert filled.put(f"/v1/galleries/{name}", json={}, headers=everything).status_code == 201
    night = as_key(filled, "read", galleries=["night", "later"])
    listed = filled.get("/v1/galleries", headers=night).json()["galleries"]
    assert [each["name"] for each in listed] == ["night"]
    assert filled.get("/v1/items?gallery=night", headers=night).status_code == 200
    assert filled.get("/v1/items?gallery=later", headers=night).status_code == 404  # its own: it may know
    assert filled.get("/v1/items?gallery=day", headers=night).status_code == 403


def added(client: TestClient, content: bytes, key: dict[str, str], **labels: Any) -> dict[str, Any]:
    data = {"metadata": json.dumps(labels)}
    answer = client.post("/v1/items", files=[("images", ("a.jpg", content))], data=data, headers=key)
    assert answer.status_code == 200, answer.text
    [result] = answer.json()["results"]
    return dict(result)


def test_an_image_that_a_hidden_item_has_is_added_as_any_other(filled: TestClient, make_image: Make) -> None:
    gate = as_key(filled, "write", cameras=["c1"])
    for hidden in (1, 3):  # of c2, and of an unknown camera
        first = added(filled, make_image(hidden), gate, camera_id="c1")
        assert (first["status"], first["duplicate"]) == ("added", False)
        assert filled.get(f"/v1/items/{first['id']}/image", headers=gate).status_code == 200
        again = added(filled, make_image(hidden), gate, camera_id="c1")
        assert (again["status"], again["id"]) == ("duplicate", first["id"])


def test_a_box_that_a_hidden_item_has_is_added_as_any_other(filled: TestClient, make_image: Make) -> None:
    everything, gate = as_key(filled), as_key(filled, "write", cameras=["c1"])
    boxes = [{"box": [0, 0, 32, 64]}]
    hidden = added(filled, make_image(9), everything, camera_id="c2", boxes=boxes)
    own = added(filled, make_image(9), gate, camera_id="c1", boxes=boxes)
    assert own["status"] == "added"
    assert own["id"] != hidden["id"]


def test_to_a_key_without_limits_one_image_is_one_item(filled: TestClient, make_image: Make) -> None:
    everything, gate = as_key(filled), as_key(filled, "write", cameras=["c1"])
    added(filled, make_image(1), gate, camera_id="c1")
    again = added(filled, make_image(1), everything, camera_id="c3")
    assert (again["status"], again["id"]) == ("duplicate", 2)  # the first of the two that it sees


def test_of_several_items_with_one_image_that_of_the_camera_is_relabelled(filled: TestClient, make_image: Make) -> None:
    everything, gate = as_key(filled), as_key(filled, "write", cameras=["c1"])
    own = added(filled, make_image(1), gate, camera_id="c1")["id"]
    before = filled.get("/v1/items/2", headers=everything).json()
    for _ in range(2):
        body = filled.post(
            "/v1/items?on_duplicate=relabel",
            files=[("images", ("a.jpg", make_image(1)))],
            data={"metadata": json.dumps({"camera_id": "c1", "person_id": "somebody"})},
            headers=everything,
        ).json()
        assert body["results"][0]["id"] == own
    assert filled.get(f"/v1/items/{own}", headers=gate).json()["person_id"] == "somebody"
    assert filled.get("/v1/items/2", headers=everything).json() == before


def test_a_key_relabels_no_item_that_it_does_not_see(filled: TestClient, make_image: Make) -> None:
    everything, gate = as_key(filled), as_key(filled, "write", cameras=["c1"])
    before = filled.get("/v1/items/2", headers=everything).json()
    metadata = json.dumps({"camera_id": "c1", "person_id": "somebody"})
    body = filled.post(
        "/v1/items?on_duplicate=relabel",
        files=[("images", ("a.jpg", make_image(1)))],
        data={"metadata": metadata},
        headers=gate,
    ).json()
    assert (body["added"], body["relabelled"], body["results"][0]["differing"]) == (1, 0, [])
    assert filled.get("/v1/items/2", headers=everything).json() == before
