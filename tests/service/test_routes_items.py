"""/v1/items: each picture has its own result, and labels come from where they were given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

Make = Callable[..., bytes]


def send(client: TestClient, *files: tuple[str, bytes], metadata: Any = None, **options: Any) -> Any:
    data = {} if metadata is None else {"metadata": metadata if isinstance(metadata, str) else json.dumps(metadata)}
    return client.post("/v1/items", files=[("images", file) for file in files], data=data, **options)


def test_a_bad_picture_never_fails_its_neighbours(client: TestClient, picture: Make) -> None:
    answer = send(
        client, ("a.jpg", picture(1)), ("b.jpg", b"not a picture"), ("c.png", picture(2, "PNG")), ("d.jpg", b"")
    )
    assert answer.status_code == 207
    body = answer.json()
    assert [result["status"] for result in body["results"]] == ["added", "error", "added", "error"]
    assert [result["index"] for result in body["results"]] == [0, 1, 2, 3]
    assert (body["added"], body["duplicates"], body["failed"], body["gallery_size"]) == (2, 0, 2, 2)
    problem = body["results"][1]["error"]
    assert problem["type"] == "/problems/bad-image"
    assert "b.jpg" in problem["detail"]


def test_the_same_bytes_are_the_same_item(client: TestClient, picture: Make) -> None:
    first = send(client, ("a.jpg", picture(1)))
    again = send(client, ("b.jpg", picture(1)), ("c.jpg", picture(2)))
    assert first.status_code == again.status_code == 200
    assert [result["status"] for result in again.json()["results"]] == ["duplicate", "added"]
    assert again.json()["results"][0]["id"] == first.json()["results"][0]["id"]


def test_more_pictures_than_one_batch(client: TestClient, picture: Make) -> None:
    body = send(client, *((f"{seed}.jpg", picture(seed)) for seed in range(18))).json()
    assert [result["index"] for result in body["results"]] == list(range(18))
    assert len({result["id"] for result in body["results"]}) == 18


@pytest.mark.parametrize(
    ("name", "person_id", "camera_id"),
    [
        ("0002_c1s1_000451_03.jpg", "0002", "c1"),
        ("0000_c6s1_000451_03.jpg", None, "c6"),
        ("-1_c3s1_000451_03.jpg", None, "c3"),
        ("holiday.jpg", None, None),
        ("../../0007_c2s1_000001_00.jpg", "0007", "c2"),
    ],
)
def test_labels_from_file_names(
    client: TestClient, picture: Make, name: str, person_id: str | None, camera_id: str | None
) -> None:
    [result] = send(client, (name, picture(1))).json()["results"]
    item = client.get(f"/v1/items/{result['id']}").json()
    assert (item["person_id"], item["camera_id"]) == (person_id, camera_id)
    assert item["source"] == name.rsplit("/", 1)[-1]


def test_labels_from_a_list(client: TestClient, picture: Make) -> None:
    given = [
        {"camera_id": "gate", "person_id": "anna", "track_id": "t1", "captured_at": "2026-05-01T11:30:00+02:00"},
        {"metadata": {"note": "left", "list": [1, None, {"deep": "ä"}]}, "person_id": "0000"},
    ]
    results = send(client, ("a.jpg", picture(1)), ("0002_c1s1_1_0.jpg", picture(2)), metadata=given).json()["results"]
    first, second = (client.get(f"/v1/items/{result['id']}").json() for result in results)
    assert (first["camera_id"], first["person_id"], first["track_id"]) == ("gate", "anna", "t1")
    assert first["captured_at"] == "2026-05-01T09:30:00Z"
    assert second["metadata"] == given[1]["metadata"]
    assert second["person_id"] is None


def test_one_object_for_all(client: TestClient, picture: Make) -> None:
    results = send(client, ("a.jpg", picture(1)), ("b.jpg", picture(2)), metadata={"camera_id": "c9"}).json()["results"]
    assert {client.get(f"/v1/items/{result['id']}").json()["camera_id"] for result in results} == {"c9"}


@pytest.mark.parametrize(
    "metadata",
    [
        "not json",
        "[]",
        "3",
        '[{"camera_id": "c1"}, {"camera_id": "c2"}]',
        '{"camera": "c1"}',
        '{"camera_id": ""}',
        '{"camera_id": "a\\u0000b"}',
        '{"camera_id": 3}',
        '{"person_id": "\\ud800"}',
        '{"metadata": {"a": "\\ud800"}}',
        '{"captured_at": "2026-05-01T11:30:00"}',
        '{"captured_at": "yesterday"}',
        '{"captured_at": "0001-01-01T00:00:00+05:00"}',
        '{"metadata": 3}',
    ],
)
def test_wrong_metadata_is_refused_as_a_whole(client: TestClient, picture: Make, metadata: str) -> None:
    answer = send(client, ("a.jpg", picture(1)), metadata=metadata)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/bad-parameter"
    assert client.get("/v1/info").json()["gallery"]["size"] == 0


def test_wrong_forms(client: TestClient, picture: Make) -> None:
    file = ("a.jpg", picture(1))
    cases = {
        "several metadata": {"files": [("images", file), ("metadata", ("m", b"{}")), ("metadata", ("m", b"{}"))]},
        "unknown field": {"files": [("images", file), ("image", file)]},
        "no images": {"files": [("metadata", ("m.json", b"{}"))]},
        "text instead of a file": {"data": {"images": "hello"}, "files": [("metadata", ("m.json", b"{}"))]},
        "too many": {"files": [("images", file)] * 21},
    }
    for name, form in cases.items():
        answer = client.post("/v1/items", **form)
        assert answer.status_code == 422, name
    assert client.post("/v1/items", files=[("images", file)] * 23).status_code == 400
    assert client.post("/v1/items", content=picture(1), headers={"content-type": "image/jpeg"}).status_code == 415
    broken = {"content-type": "multipart/form-data"}
    assert client.post("/v1/items", content=b"hello", headers=broken).status_code == 400


def test_metadata_may_come_as_a_file(client: TestClient, picture: Make) -> None:
    files = [("images", ("a.jpg", picture(1))), ("metadata", ("labels.json", b'{"camera_id": "c4"}'))]
    [result] = client.post("/v1/items", files=files).json()["results"]
    assert client.get(f"/v1/items/{result['id']}").json()["camera_id"] == "c4"


def test_listing_pages_and_filters(client: TestClient, picture: Make) -> None:
    names = [f"{1 + seed % 2:04d}_c{1 + seed % 3}s1_000001_00.jpg" for seed in range(7)]
    send(client, *((name, picture(seed)) for seed, name in enumerate(names)))
    ids, after = [], 0
    while after is not None:
        page = client.get("/v1/items", params={"after": after, "limit": 3}).json()
        ids += [item["id"] for item in page["items"]]
        after = page["next_after"]
    assert ids == sorted(ids)
    assert len(ids) == 7
    of_camera = client.get("/v1/items", params={"camera_id": "c1"}).json()
    assert [item["camera_id"] for item in of_camera["items"]] == ["c1"] * 3
    assert of_camera["next_after"] is None
    assert len(client.get("/v1/items", params={"person_id": "0002"}).json()["items"]) == 3
    assert client.get("/v1/items", params={"person_id": "nobody"}).json() == {"items": [], "next_after": None}


@pytest.mark.parametrize("params", ["limit=0", "limit=1001", "after=-1", "after=x", f"after={2**63}", "camera=c1"])
def test_listing_refuses(client: TestClient, params: str) -> None:
    assert client.get(f"/v1/items?{params}").status_code == 422


def test_image_is_a_jpeg_without_the_metadata_of_the_upload(client: TestClient, picture: Make) -> None:
    [result] = send(client, ("a.png", picture(1, "PNG"))).json()["results"]
    image = client.get(client.get(f"/v1/items/{result['id']}").json()["image_url"])
    assert image.headers["content-type"] == "image/jpeg"
    assert image.headers["cache-control"] == "private, no-store"
    assert image.content.startswith(b"\xff\xd8")
    assert b"Exif" not in image.content


def test_a_deleted_item_is_gone(client: TestClient, picture: Make) -> None:
    [result] = send(client, ("a.jpg", picture(1))).json()["results"]
    address = f"/v1/items/{result['id']}"
    gone = client.delete(address)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (client.delete(address), client.get(address), client.get(f"{address}/image")):
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/item-not-found"
    query = client.post("/v1/query", content=picture(1), headers={"content-type": "image/jpeg"})
    assert query.json()["matches"] == []


@pytest.mark.parametrize("item_id", ["0", "-1", "x", str(2**63), "1.5"])
def test_impossible_ids(client: TestClient, item_id: str) -> None:
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/v1/items/{item_id}").status_code == 422


def test_only_the_default_gallery_exists(client: TestClient, picture: Make) -> None:
    assert send(client, ("a.jpg", picture(1)), params={"gallery": "other"}).status_code == 404
    assert client.get("/v1/items?gallery=other").json()["type"] == "/problems/gallery-not-found"
    assert client.get("/v1/items?gallery=default").status_code == 200


def test_another_site_changes_nothing(client: TestClient, picture: Make) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    [result] = send(client, ("a.jpg", picture(1))).json()["results"]
    assert send(client, ("b.jpg", picture(2)), headers=foreign).status_code == 403
    assert client.delete(f"/v1/items/{result['id']}", headers=foreign).json()["type"] == "/problems/cross-site"
    assert client.delete(f"/v1/items/{result['id']}", headers={"sec-fetch-site": "same-origin"}).status_code == 204
