"""/v1/items: each image has its own result, and labels come from where they were given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.application import service_of
from vitreid.bundle import read_image

Make = Callable[..., bytes]


def send(client: TestClient, *files: tuple[str, bytes], metadata: Any = None, **options: Any) -> Any:
    data = {} if metadata is None else {"metadata": metadata if isinstance(metadata, str) else json.dumps(metadata)}
    return client.post("/v1/items", files=[("images", file) for file in files], data=data, **options)


def test_a_bad_image_never_fails_its_neighbours(client: TestClient, make_image: Make) -> None:
    answer = send(
        client, ("a.jpg", make_image(1)), ("b.jpg", b"not an image"), ("c.png", make_image(2, "PNG")), ("d.jpg", b"")
    )
    assert answer.status_code == 207
    body = answer.json()
    assert [result["status"] for result in body["results"]] == ["added", "error", "added", "error"]
    assert [result["index"] for result in body["results"]] == [0, 1, 2, 3]
    assert (body["added"], body["duplicates"], body["rejected"], body["failed"]) == (2, 0, 0, 2)
    assert client.get("/v1/info").json()["gallery"]["size"] == 2
    problem = body["results"][1]["error"]
    assert problem["type"] == "/problems/bad-image"
    assert "b.jpg" in problem["detail"]


def test_the_same_bytes_are_the_same_item(client: TestClient, make_image: Make) -> None:
    first = send(client, ("a.jpg", make_image(1)))
    again = send(client, ("b.jpg", make_image(1)), ("c.jpg", make_image(2)))
    assert first.status_code == again.status_code == 200
    assert [result["status"] for result in again.json()["results"]] == ["duplicate", "added"]
    assert again.json()["results"][0]["id"] == first.json()["results"][0]["id"]


def test_more_images_than_one_batch(client: TestClient, make_image: Make) -> None:
    body = send(client, *((f"{seed}.jpg", make_image(seed)) for seed in range(18))).json()
    assert [result["index"] for result in body["results"]] == list(range(18))
    assert len({result["id"] for result in body["results"]}) == 18


@pytest.mark.parametrize(
    ("name", "person_id", "camera_id"),
    [
        ("0002_c1s1_000451_03.jpg", "0002", "c1"),
        ("0000_c6s1_000451_03.jpg", None, "c6"),
        ("-1_c3s1_000451_03.jpg", None, "c3"),
        ("holiday.jpg", None, None),
        ("1" * 200 + "_c1s1_000451_03.jpg", None, None),
        ("../../0007_c2s1_000001_00.jpg", "0007", "c2"),
    ],
)
def test_labels_from_file_names(
    client: TestClient, make_image: Make, name: str, person_id: str | None, camera_id: str | None
) -> None:
    [result] = send(client, (name, make_image(1))).json()["results"]
    item = client.get(f"/v1/items/{result['id']}").json()
    assert (item["person_id"], item["camera_id"]) == (person_id, camera_id)
    assert item["source"] == name.rsplit("/", 1)[-1]


def test_labels_from_a_list(client: TestClient, make_image: Make) -> None:
    given = [
        {"camera_id": "gate", "person_id": "anna", "track_id": "t1", "captured_at": "2026-05-01T11:30:00+02:00"},
        {"metadata": {"note": "left", "list": [1, None, {"deep": "ä"}]}, "person_id": "0000"},
    ]
    results = send(client, ("a.jpg", make_image(1)), ("0002_c1s1_1_0.jpg", make_image(2)), metadata=given).json()[
        "results"
    ]
    first, second = (client.get(f"/v1/items/{result['id']}").json() for result in results)
    assert (first["camera_id"], first["person_id"], first["track_id"]) == ("gate", "anna", "t1")
    assert first["captured_at"] == "2026-05-01T09:30:00Z"
    assert second["metadata"] == given[1]["metadata"]
    assert second["person_id"] is None


def test_one_object_for_all(client: TestClient, make_image: Make) -> None:
    results = send(client, ("a.jpg", make_image(1)), ("b.jpg", make_image(2)), metadata={"camera_id": "c9"}).json()[
        "results"
    ]
    assert {client.get(f"/v1/items/{result['id']}").json()["camera_id"] for result in results} == {"c9"}


NAME = "0002_c1s1_000451_03.jpg"


@pytest.mark.parametrize(
    ("metadata", "person_id", "camera_id"),
    [
        (None, "0002", "c1"),
        ({}, "0002", "c1"),
        ({"captured_at": "2026-05-01T09:30:00Z"}, "0002", "c1"),
        ([{"captured_at": "2026-05-01T09:30:00Z"}], "0002", "c1"),
        ({"camera_id": "gate"}, "0002", "gate"),
        ({"person_id": "anna"}, "anna", "c1"),
        ({"person_id": None, "camera_id": None}, None, None),
        ({"person_id": "-1"}, None, "c1"),
    ],
)
def test_a_file_name_gives_what_metadata_leaves_out(
    client: TestClient, make_image: Make, metadata: Any, person_id: str | None, camera_id: str | None
) -> None:
    [added] = send(client, (NAME, make_image(1)), metadata=metadata).json()["results"]
    item = client.get(f"/v1/items/{added['id']}").json()
    assert (item["person_id"], item["camera_id"]) == (person_id, camera_id)


def test_the_name_of_a_frame_gives_no_labels(client: TestClient, make_image: Make) -> None:
    send(client, (NAME, make_image(1)), metadata={"boxes": [{"box": [0, 0, 20, 60]}]})
    [item] = client.get("/v1/items").json()["items"]
    assert (item["person_id"], item["camera_id"]) == (None, None)


@pytest.mark.slow
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
def test_wrong_metadata_is_refused_as_a_whole(client: TestClient, make_image: Make, metadata: str) -> None:
    answer = send(client, ("a.jpg", make_image(1)), metadata=metadata)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/bad-parameter"
    assert client.get("/v1/info").json()["gallery"]["size"] == 0


def test_wrong_forms(client: TestClient, make_image: Make) -> None:
    file = ("a.jpg", make_image(1))
    cases: dict[str, dict[str, Any]] = {
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
    assert client.post("/v1/items", content=make_image(1), headers={"content-type": "image/jpeg"}).status_code == 415
    broken = {"content-type": "multipart/form-data"}
    assert client.post("/v1/items", content=b"hello", headers=broken).status_code == 400


def test_metadata_may_come_as_a_file(client: TestClient, make_image: Make) -> None:
    files = [("images", ("a.jpg", make_image(1))), ("metadata", ("labels.json", b'{"camera_id": "c4"}'))]
    [result] = client.post("/v1/items", files=files).json()["results"]
    assert client.get(f"/v1/items/{result['id']}").json()["camera_id"] == "c4"


def test_listing_pages_and_filters(client: TestClient, make_image: Make) -> None:
    names = [f"{1 + seed % 2:04d}_c{1 + seed % 3}s1_000001_00.jpg" for seed in range(7)]
    send(client, *((name, make_image(seed)) for seed, name in enumerate(names)))
    ids, after = [], 0
    while after is not None:
        page = client.get("/v1/items", params={"after": after, "limit": 3}).json()
        ids += [item["id"] for item in page["items"]]
        after = page["next_after"]
    assert ids == sorted(ids)
    assert len(ids) == 7
    of_camera = client.get("/v1/items", params={"cameras": "c1"}).json()
    assert [item["camera_id"] for item in of_camera["items"]] == ["c1"] * 3
    assert of_camera["next_after"] is None
    assert len(client.get("/v1/items", params={"person_id": "0002"}).json()["items"]) == 3
    assert client.get("/v1/items", params={"person_id": "nobody"}).json() == {"items": [], "next_after": None}


@pytest.mark.parametrize("params", ["limit=0", "limit=1001", "after=-1", "after=x", f"after={2**63}", "camera_id=c1"])
def test_listing_refuses(client: TestClient, params: str) -> None:
    assert client.get(f"/v1/items?{params}").status_code == 422


def test_image_is_a_jpeg_without_the_metadata_of_the_upload(client: TestClient, make_image: Make) -> None:
    [result] = send(client, ("a.png", make_image(1, "PNG"))).json()["results"]
    image = client.get(client.get(f"/v1/items/{result['id']}").json()["image_url"])
    assert image.headers["content-type"] == "image/jpeg"
    assert image.headers["cache-control"] == "private, no-store"
    assert image.content.startswith(b"\xff\xd8")
    assert b"Exif" not in image.content


def test_a_deleted_item_is_gone(client: TestClient, make_image: Make) -> None:
    [result] = send(client, ("a.jpg", make_image(1))).json()["results"]
    address = f"/v1/items/{result['id']}"
    gone = client.delete(address)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (client.delete(address), client.get(address), client.get(f"{address}/image")):
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/item-not-found"
    query = client.post("/v1/query", content=make_image(1), headers={"content-type": "image/jpeg"})
    assert query.json()["matches"] == []


@pytest.mark.parametrize("item_id", ["0", "-1", "x", str(2**63), "1.5"])
def test_impossible_ids(client: TestClient, item_id: str) -> None:
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/v1/items/{item_id}").status_code == 422


def test_only_the_default_gallery_exists(client: TestClient, make_image: Make) -> None:
    assert send(client, ("a.jpg", make_image(1)), params={"gallery": "other"}).status_code == 404
    assert client.get("/v1/items?gallery=other").json()["type"] == "/problems/gallery-not-found"
    assert client.get("/v1/items?gallery=default").status_code == 200


def test_another_site_changes_nothing(client: TestClient, make_image: Make) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    [result] = send(client, ("a.jpg", make_image(1))).json()["results"]
    assert send(client, ("b.jpg", make_image(2)), headers=foreign).status_code == 403
    assert client.delete(f"/v1/items/{result['id']}", headers=foreign).json()["type"] == "/problems/cross-site"
    assert client.delete(f"/v1/items/{result['id']}", headers={"sec-fetch-site": "same-origin"}).status_code == 204


def results_of(answer: Any) -> list[tuple[Any, ...]]:
    return [(each["index"], each["box"], each["status"]) for each in answer.json()["results"]]


def test_every_box_of_a_frame_has_its_own_result(client: TestClient, make_image: Make) -> None:
    given = [
        {
            "camera_id": "gate",
            "captured_at": "2026-05-01T09:30:00Z",
            "metadata": {"lamp": "on"},
            "boxes": [
                {"box": [0, 0, 30, 60], "track_id": "7", "person_id": "anna"},
                {"box": [90, 0, 120, 60]},
                {"box": [-10, 0, 20, 64], "metadata": {"note": "half"}},
                {"box": [20, 0, 20, 64]},
            ],
        },
        {"camera_id": "yard"},
        {"boxes": [{"box": [0, 0, 30, 60]}, {"box": [0, 0, 30, 61]}]},
        {"boxes": []},
    ]
    files = [("f.png", make_image(1, "PNG")), ("crop.jpg", make_image(2)), ("bad.png", b"no image"), ("none.png", b"")]
    answer = send(client, *files, metadata=given)
    assert answer.status_code == 207
    assert results_of(answer) == [
        (0, 0, "added"), (0, 1, "error"), (0, 2, "added"), (0, 3, "error"), (1, None, "added"), (2, None, "error"),
    ]  # fmt: skip
    assert "box 1" in answer.json()["results"][1]["error"]["detail"]
    assert answer.json()["results"][5]["error"]["type"] == "/problems/bad-image"
    first, half, crop = client.get("/v1/items").json()["items"]
    assert (first["box"], first["track_id"], first["person_id"], first["camera_id"]) == (
        [0, 0, 30, 60],
        "7",
        "anna",
        "gate",
    )
    assert (first["quality"]["height"], first["quality"]["width"], first["quality"]["outside"]) == (60, 30, 0)
    assert half["quality"]["outside"] == pytest.approx(1 / 3)
    assert (half["metadata"], half["captured_at"]) == ({"lamp": "on", "note": "half"}, first["captured_at"])
    assert (crop["box"], crop["camera_id"]) == (None, "yard")
    image = client.get(first["image_url"])
    assert read_image(image.content).size == (30, 60)


def test_the_same_box_of_the_same_frame_is_the_same_item(client: TestClient, make_image: Make) -> None:
    boxes = [{"box": [0, 0, 30, 60]}, {"box": [0.0, 0, 30, 60]}, {"box": [0, 0, 30, 50]}]
    [first, *others] = send(client, ("f.jpg", make_image(1)), metadata={"boxes": boxes}).json()["results"]
    assert [each["status"] for each in others] == ["duplicate", "added"]
    assert others[0]["id"] == first["id"]
    again = send(client, ("g.jpg", make_image(1)), metadata={"boxes": boxes})
    assert again.status_code == 200
    assert {each["status"] for each in again.json()["results"]} == {"duplicate"}
    assert send(client, ("f.jpg", make_image(1))).json()["added"] == 1  # as a crop it is another item


def test_known_images_are_not_embedded_again(client: TestClient, make_image: Make, monkeypatch: Any) -> None:
    files = [(f"{seed}.jpg", make_image(seed)) for seed in range(3)]
    ids = [each["id"] for each in send(client, *files).json()["results"]]
    monkeypatch.setattr("vitreid.service.intake.preparing.decoded", None)
    again = send(client, *files).json()
    assert (again["duplicates"], [each["id"] for each in again["results"]]) == (3, ids)


def test_many_boxes_are_embedded_few_at_a_time(client: TestClient, make_image: Make) -> None:
    service = service_of(client)
    sizes: list[int] = []
    submit = service.batcher.submit
    service.batcher.submit = lambda pixels, cameras: sizes.append(len(pixels)) or submit(pixels, cameras)
    boxes = [{"box": [0, 0, 30, 20 + place]} for place in range(40)]
    body = send(client, ("f.jpg", make_image(1)), ("g.jpg", make_image(2)), metadata=[{"boxes": boxes}, {}]).json()
    assert (body["added"], sizes) == (41, [16, 16, 8, 1])
    assert [each["box"] for each in body["results"]] == [*range(40), None]


@pytest.mark.parametrize(
    "metadata",
    [
        {"boxes": [{"box": [0, 0, 30]}]},
        {"boxes": [{"box": [0, 0, 30, "wide"]}]},
        {"boxes": [{"box": [0, 0, 30, 60], "camera_id": "gate"}]},
        {"boxes": [{}]},
        {"boxes": {}},
        {"boxes": [{"box": [0, 0, 30, 60]}] * 501},
        {"person_id": "anna", "boxes": []},
    ],
)
def test_wrong_boxes_are_refused_as_a_whole(client: TestClient, make_image: Make, metadata: Any) -> None:
    answer = send(client, ("a.jpg", make_image(1)), metadata=metadata)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-parameter")


def test_one_list_of_boxes_is_for_one_image(client: TestClient, make_image: Make) -> None:
    files = [("a.jpg", make_image(1)), ("b.jpg", make_image(2))]
    assert send(client, *files, metadata={"boxes": []}).status_code == 422
    assert send(client, files[0], metadata='{"boxes": [{"box": [NaN, 0, 1, 1]}]}').json()["failed"] == 1


def test_the_settings_say_what_is_taken_and_kept(client: TestClient, make_image: Make) -> None:
    settings = {"store_images": False, "reject": {"height": [50, None]}}
    assert client.put("/v1/galleries/default", json=settings).status_code == 200
    answer = send(
        client, ("a.jpg", make_image(1)), ("b.jpg", make_image(2, "JPEG", (40, 20))), metadata={"camera_id": "gate"}
    )
    assert answer.status_code == 207
    taken, rejected = answer.json()["results"]
    assert (taken["status"], rejected["status"], rejected["id"], rejected["error"]) == ("added", "rejected", None, None)
    assert rejected["reason"] == "height is 40; expected at least 50"
    assert answer.json()["rejected"] == 1
    assert client.get(f"/v1/items/{taken['id']}").json()["image_url"] is None
    assert client.get(f"/v1/items/{taken['id']}/image").status_code == 404
    [camera] = client.get("/v1/galleries/default/cameras").json()["cameras"]
    assert (camera["camera_id"], camera["items"], camera["rejected"]) == ("gate", 1, {"min_height": 1})
    assert 'vitreid_rejections_total{reason="min_height"} 1.0' in client.get("/metrics").text


def test_images_are_embedded_with_the_mapped_camera(client: TestClient, make_image: Make) -> None:
    send(client, ("a.png", make_image(1, "PNG")), metadata={"camera_id": "c1"})
    assert client.put("/v1/galleries/default/cameras", json={"mapping": {"gate": "c1"}}).status_code == 200
    send(client, ("b.png", make_image(2, "PNG")), metadata={"camera_id": "gate"})
    assert [item["model_camera"] for item in client.get("/v1/items").json()["items"]] == [None, "c1"]


def test_labels_change_and_null_clears(client: TestClient, make_image: Make) -> None:
    given = {"camera_id": "gate", "track_id": "7", "captured_at": "2026-05-01T09:30:00Z", "metadata": {"lamp": 1}}
    [added] = send(client, ("a.jpg", make_image(1)), metadata=given).json()["results"]
    address = f"/v1/items/{added['id']}"
    before = client.get(address).json()
    assert client.patch(address, json={}).json() == before
    changes = {"person_id": "anna", "camera_id": "yard", "track_id": None, "captured_at": "2026-05-01T14:00:00+02:00"}
    after = client.patch(address, json=changes)
    assert after.status_code == 200
    expected = {**before, **changes, "captured_at": "2026-05-01T12:00:00Z"}
    assert after.json() == client.get(address).json() == expected
    cleared = client.patch(address, json={"person_id": None, "metadata": None, "captured_at": None}).json()
    assert (cleared["person_id"], cleared["metadata"], cleared["captured_at"]) == (None, {}, None)
    assert client.patch(address, json={"person_id": "0000"}).json()["person_id"] is None
    assert client.get("/v1/items", params={"cameras": "yard"}).json()["items"][0]["id"] == added["id"]
    assert client.get("/v1/items", params={"cameras": "gate"}).json()["items"] == []


@pytest.mark.parametrize(
    "patch",
    [
        {"camera": "c1"},
        {"id": 3},
        {"embedding": [1]},
        {"camera_id": ""},
        {"person_id": 3},
        {"captured_at": "2026-05-01T09:30:00"},
        {"metadata": [1]},
        [],
        None,
    ],
)
def test_wrong_changes_are_refused(client: TestClient, make_image: Make, patch: Any) -> None:
    [added] = send(client, ("a.jpg", make_image(1))).json()["results"]
    before = client.get(f"/v1/items/{added['id']}").json()
    assert client.patch(f"/v1/items/{added['id']}", json=patch).status_code == 422
    assert client.get(f"/v1/items/{added['id']}").json() == before
    assert client.patch("/v1/items/99", json={"person_id": "anna"}).status_code == 404


@pytest.mark.slow
def test_every_route_takes_a_gallery(client: TestClient, make_image: Make) -> None:
    assert client.put("/v1/galleries/night", json={}).status_code == 201
    night = {"gallery": "night"}
    [added] = send(client, ("a.jpg", make_image(1)), params=night).json()["results"]
    address = f"/v1/items/{added['id']}"
    item = client.get(address, params=night).json()
    assert item["image_url"] == f"{address}/image?gallery=night"
    assert client.get(item["image_url"]).status_code == 200
    assert client.get("/v1/items", params=night).json()["items"] == [item]
    assert client.patch(address, json={"person_id": "anna"}, params=night).json()["person_id"] == "anna"
    for answer in (client.get(address), client.patch(address, json={}), client.delete(address)):
        assert answer.json()["type"] == "/problems/item-not-found"
    assert client.delete(address, params=night).status_code == 204
    assert client.get(address, params={"gallery": "none"}).json()["type"] == "/problems/gallery-not-found"


def test_listing_takes_all_conditions(client: TestClient, make_image: Make) -> None:
    times = [f"2026-05-0{day}T12:00:00Z" for day in range(1, 6)]
    labels = [
        {"camera_id": f"c{place % 2}", "captured_at": time, "track_id": str(place // 2), "metadata": {"n": place}}
        for place, time in enumerate(times)
    ]
    sizes = [(40 + 10 * place, 20 + 5 * place) for place in range(5)]
    files = [(f"{place}.jpg", make_image(place, "JPEG", size)) for place, size in enumerate(sizes)]
    ids = [each["id"] for each in send(client, *files, metadata=labels).json()["results"]]

    def listed(**params: Any) -> list[int]:
        answer = client.get("/v1/items", params=params)
        assert answer.status_code == 200, answer.json()
        return [ids.index(item["id"]) for item in answer.json()["items"]]

    assert listed() == [0, 1, 2, 3, 4]
    assert listed(cameras=["c0", "c1"]) == [0, 1, 2, 3, 4]
    assert listed(exclude_cameras="c0") == [1, 3]
    assert listed(since=times[1], until=times[3]) == [1, 2]
    assert listed(track_id="1") == [2, 3]
    assert listed(metadata='{"n": 3}') == [3]
    assert listed(min_height=50, max_width=30) == [1, 2]
    assert listed(cameras="c0", min_height=50, after=ids[2]) == [4]
    first = client.get("/v1/items", params={"exclude_cameras": "c1", "limit": 2}).json()
    assert [item["id"] for item in first["items"]] == [ids[0], ids[2]]
    rest = client.get("/v1/items", params={"exclude_cameras": "c1", "limit": 2, "after": first["next_after"]}).json()
    assert ([item["id"] for item in rest["items"]], rest["next_after"]) == ([ids[4]], None)


def test_other_labels_of_a_duplicate_are_reported_and_taken_on_request(client: TestClient, make_image: Make) -> None:
    send(client, ("a.jpg", make_image(1)), metadata={"person_id": "0001", "camera_id": "c1"})
    new = {"person_id": "0002", "camera_id": "c1", "captured_at": "2026-05-01T09:30:00Z", "metadata": {"site": "north"}}
    for params in ({}, {"on_duplicate": "keep"}):
        body = send(client, ("a.jpg", make_image(1)), metadata=new, params=params).json()
        assert (body["duplicates"], body["relabelled"]) == (1, 0)
        assert body["results"][0]["differing"] == ["person_id", "captured_at", "metadata"]
        assert client.get("/v1/items/1").json()["person_id"] == "0001"
    body = send(client, ("a.jpg", make_image(1)), metadata=new, params={"on_duplicate": "relabel"}).json()
    assert (body["duplicates"], body["relabelled"], body["results"][0]["relabelled"]) == (1, 1, True)
    item = client.get("/v1/items/1").json()
    assert {name: item[name] for name in new} == new
    body = send(client, ("a.jpg", make_image(1)), metadata=new, params={"on_duplicate": "relabel"}).json()
    assert (body["relabelled"], body["results"][0]["differing"]) == (0, [])
    assert send(client, ("a.jpg", make_image(1)), params={"on_duplicate": "replace"}).status_code == 422


def test_other_labels_of_boxes_that_are_there(client: TestClient, make_image: Make) -> None:
    frame = ("frame.png", make_image(1, "PNG"))
    boxes = [{"box": [0, 0, 16, 32]}, {"box": [4, 4, 30, 60]}]
    send(client, frame, metadata={"camera_id": "c1", "boxes": boxes})
    boxes[1]["track_id"] = "t1"  # type: ignore[assignment]
    body = send(client, frame, metadata={"boxes": boxes}, params={"on_duplicate": "relabel"}).json()
    assert [result["differing"] for result in body["results"]] == [[], ["track_id"]]
    assert [client.get(f"/v1/items/{id}").json()["track_id"] for id in (1, 2)] == [None, "t1"]


def test_labels_by_other_names_are_refused_by_the_right_one(client: TestClient, make_image: Make) -> None:
    answer = send(client, ("a.jpg", make_image(1)), metadata={"camera": "c1"})
    assert answer.status_code == 422
    assert "metadata.camera is called camera_id here" in answer.json()["detail"]
