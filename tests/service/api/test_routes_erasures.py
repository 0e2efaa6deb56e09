"""/v1/persons and /v1/erasures: confirmed items go for good, with a receipt."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.service.application import service_of

Make = Callable[..., bytes]


@pytest.fixture
def filled(client: TestClient, make_image: Make) -> TestClient:
    labels = [{"person_id": "anna/2", "camera_id": f"c{seed % 2}"} for seed in range(4)] + [{"camera_id": "c1"}] * 2
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(6)]
    assert client.post("/v1/items", files=files, data={"metadata": json.dumps(labels)}).status_code == 200
    return client


def test_a_person_is_erased(filled: TestClient) -> None:
    answer = filled.delete("/v1/persons/anna/2")
    assert answer.status_code == 202
    receipt = answer.json()
    assert (receipt["gallery"], receipt["items"], receipt["images"]) == ("default", 4, 4)
    assert receipt["item_ids"] == [1, 2, 3, 4]
    assert receipt["purged_at"] is None
    assert receipt["remaining"][0]["kind"] == "database"
    assert "anna" not in answer.text
    assert [item["id"] for item in filled.get("/v1/items").json()["items"]] == [5, 6]
    again = filled.delete("/v1/persons/anna/2")
    assert (again.status_code, again.json()["type"]) == (404, "/problems/person-not-found")


def test_confirmed_matches_of_a_search_are_erased_together(filled: TestClient, make_image: Make) -> None:
    query = filled.post("/v1/query?k=3", content=make_image(5), headers={"content-type": "image/jpeg"})
    confirmed = [match["id"] for match in query.json()["matches"]][:2]
    answer = filled.post("/v1/erasures", json={"item_ids": confirmed, "reason": "request 12"})
    assert answer.status_code == 202
    receipt = answer.json()
    assert receipt["item_ids"] == sorted(confirmed)
    assert (receipt["reason"], receipt["requested_by"]) == ("request 12", "anonymous")
    assert filled.get(f"/v1/erasures/{receipt['id']}").json() == receipt
    left = filled.post("/v1/query?k=10", content=make_image(5), headers={"content-type": "image/jpeg"}).json()[
        "matches"
    ]
    assert len(left) == 4
    assert not set(confirmed) & {match["id"] for match in left}


def test_receipts_are_listed_in_pages(filled: TestClient) -> None:
    ids = [filled.post("/v1/erasures", json={"item_ids": [number]}).json()["id"] for number in (1, 2, 3)]
    page = filled.get("/v1/erasures?limit=2").json()
    assert [receipt["id"] for receipt in page["erasures"]] == [ids[2], ids[1]]
    rest = filled.get(f"/v1/erasures?limit=2&before={page['next_before']}").json()
    assert [receipt["id"] for receipt in rest["erasures"]] == [ids[0]]
    assert rest["next_before"] is None


def test_what_is_not_there_is_reported(filled: TestClient) -> None:
    assert filled.post("/v1/erasures", json={"item_ids": [1, 99]}).json()["item_ids"] == [1]
    gone = filled.post("/v1/erasures", json={"item_ids": [1, 99]})
    assert (gone.status_code, gone.json()["type"]) == (404, "/problems/item-not-found")
    unknown = filled.get("/v1/erasures/nothing")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/erasure-not-found")
    for address in ("/v1/erasures?gallery=other", "/v1/erasures/x?gallery=other"):
        assert filled.get(address).json()["type"] == "/problems/gallery-not-found"
    assert filled.delete("/v1/persons/anna/2?gallery=other").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"item_ids": []},
        {"items": []},
        {"items": [{"id": 1}]},
        {"items": [{"id": 1, "image_hash": "A" * 64}]},
        {"item_ids": [0]},
        {"item_ids": ["x"]},
        {"item_ids": [2**63]},
        {"item_ids": [1], "reason": ""},
        {"item_ids": [1], "reason": "a\nb"},
        {"item_ids": [1], "gallery": "default"},
        {"item_ids": list(range(1, 10_002))},
    ],
)
def test_wrong_requests_erase_nothing(filled: TestClient, body: object) -> None:
    assert filled.post("/v1/erasures", json=body).status_code == 422
    assert len(filled.get("/v1/items").json()["items"]) == 6


def test_another_site_erases_nothing(filled: TestClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert filled.post("/v1/erasures", json={"item_ids": [1]}, headers=foreign).status_code == 403
    assert filled.delete("/v1/persons/anna/2", headers=foreign).status_code == 403
    assert len(filled.get("/v1/items").json()["items"]) == 6


def test_a_key_with_limits_erases_nothing_and_a_receipt_names_who_did(filled: TestClient) -> None:
    """Items that a limited key cannot see would stay, while the receipt of a person would state otherwise."""
    access = service_of(filled).access
    as_admin = {"authorization": f"Bearer {access.keys.create('admin', ['admin'])[1]}"}
    keys = (
        access.keys.create("gate", ["write"], cameras={"c1"}),
        access.keys.create("gate", ["write"], galleries={"default"}),
    )
    for _, secret in keys:
        as_gate = {"authorization": f"Bearer {secret}"}
        assert filled.post("/v1/erasures", json={"item_ids": [2]}, headers=as_gate).status_code == 403
        assert filled.delete("/v1/persons/anna/2", headers=as_gate).status_code == 403
    assert len(filled.get("/v1/items", headers=as_admin).json()["items"]) == 6
    assert filled.delete("/v1/persons/anna/2", headers=as_admin).status_code == 202
    [receipt] = filled.get("/v1/erasures", headers=as_admin).json()["erasures"]
    assert receipt["requested_by"] == "admin"


def test_an_item_is_erased_only_with_the_confirmed_image(filled: TestClient) -> None:
    items = filled.get("/v1/items").json()["items"]
    seen = [{"id": item["id"], "image_hash": item["image_hash"]} for item in items]
    other = seen[1] | {"image_hash": items[2]["image_hash"]}
    refused = filled.post("/v1/erasures", json={"items": [seen[0], other], "item_ids": [5]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/image-mismatch")
    assert f"item 2 has the image_hash {items[1]['image_hash']}" in refused.json()["detail"]
    assert len(filled.get("/v1/items").json()["items"]) == 6
    gone = {"id": 99, "image_hash": "0" * 64}
    receipt = filled.post("/v1/erasures", json={"items": [*seen[:2], gone], "item_ids": [5]}).json()
    assert (receipt["gallery"], receipt["item_ids"]) == ("default", [1, 2, 5])


@pytest.mark.slow
def test_answers_say_which_gallery_an_item_is_in(filled: TestClient, make_image: Make) -> None:
    assert filled.put("/v1/galleries/night", json={}).status_code == 201
    filled.post("/v1/items?gallery=night", files=[("images", ("0.jpg", make_image(9)))])
    for gallery in ("default", "night"):
        query = filled.post(
            f"/v1/query?gallery={gallery}", content=make_image(5), headers={"content-type": "image/jpeg"}
        ).json()
        shown = [*query["matches"], *filled.get(f"/v1/items?gallery={gallery}").json()["items"]]
        shown.append(filled.get(f"/v1/items/1?gallery={gallery}").json())
        shown.append(filled.patch(f"/v1/items/1?gallery={gallery}", json={}).json())
        shown.append(filled.post("/v1/erasures?gallery=" + gallery, json={"item_ids": [1]}).json())
        assert {each["gallery"] for each in shown} == {gallery}


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"person_id": "x"}), ("DELETE", None)])
def test_an_item_is_changed_only_with_the_confirmed_image(filled: TestClient, method: str, body: object) -> None:
    before = filled.get("/v1/items/2").json()
    refused = filled.request(method, f"/v1/items/2?image_hash={'0' * 64}", json=body)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/image-mismatch")
    assert filled.get("/v1/items/2").json() == before
    assert filled.request(method, f"/v1/items/2?image_hash={before['image_hash']}", json=body).is_success
    assert filled.request(method, "/v1/items/2?image_hash=x", json=body).status_code == 422
