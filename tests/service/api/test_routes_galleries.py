"""/v1/galleries: list, make, set up and drop, and other routes in a gallery of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.gallery import Gallery

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}
DEFAULTS: dict[str, Any] = {
    "retention_days": None,
    "store_images": True,
    "store_patches": False,
    "cameras": {},
    "min_score": None,
    "domain": None,
    "reject": {},
}


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


def test_the_default_gallery_is_there(client: TestClient) -> None:
    [entry] = client.get("/v1/galleries").json()["galleries"]
    assert {key: entry[key] for key in ("name", "state", "reason", "size")} == {
        "name": "default", "state": "open", "reason": None, "size": 0
    }  # fmt: skip
    assert entry["settings"] == DEFAULTS


def test_putting_is_idempotent_and_sets_what_the_body_says(client: TestClient) -> None:
    settings = {"retention_days": 30, "cameras": {"gate": "c1"}, "reject": {"height": [64, None]}}
    first, again = (client.put("/v1/galleries/night", json=settings) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["settings"] == DEFAULTS | settings
    cleared = client.put("/v1/galleries/night", json={"cameras": {}})
    assert cleared.json()["settings"] == DEFAULTS
    assert [entry["name"] for entry in client.get("/v1/galleries").json()["galleries"]] == ["default", "night"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Night", {}),
        ("-night", {}),
        ("n" * 64, {}),
        ("night", {"retention": 3}),
        ("night", {"retention_days": -1}),
        ("night", {"reject": {"beauty": [0, 1]}}),
        ("night", []),
    ],
)
def test_names_and_settings_that_are_refused(client: TestClient, name: str, settings: object) -> None:
    answer = client.put(f"/v1/galleries/{name}", json=settings)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert len(client.get("/v1/galleries").json()["galleries"]) == 1


def test_settings_leave_the_mapping_of_cameras_alone(client: TestClient) -> None:
    client.put("/v1/galleries/default", json={"cameras": {"gate": "c1"}, "retention_days": 3})
    assert client.put("/v1/galleries/default", json={"min_score": 0.5}).json()["settings"] == {
        **DEFAULTS,
        "cameras": {"gate": "c1"},
        "min_score": 0.5,
    }
    assert client.put("/v1/galleries/default", json={"cameras": {}}).json()["settings"] == DEFAULTS


def test_galleries_do_not_see_each_other(client: TestClient, make_image: Make) -> None:
    client.put("/v1/galleries/night", json={})
    files = [("images", ("a.jpg", make_image(1)))]
    assert client.post("/v1/items", files=files, params={"gallery": "night"}).json()["added"] == 1
    sizes = {entry["name"]: entry["size"] for entry in client.get("/v1/galleries").json()["galleries"]}
    assert sizes == {"default": 0, "night": 1}
    for gallery, found in (("default", 0), ("night", 1)):
        answer = client.post("/v1/query", content=make_image(1), headers=JPEG, params={"gallery": gallery})
        assert len(answer.json()["matches"]) == found


def test_a_dropped_gallery_answers_nothing(client: TestClient, make_image: Make) -> None:
    client.put("/v1/galleries/night", json={})
    client.post("/v1/items", files=[("images", ("a.jpg", make_image(1)))], params={"gallery": "night"})
    dropped = client.delete("/v1/galleries/night")
    assert dropped.status_code == 200
    assert {key: dropped.json()[key] for key in ("name", "items", "images")} == {
        "name": "night", "items": 1, "images": 1
    }  # fmt: skip
    asked = client.post("/v1/query", content=make_image(1), headers=JPEG, params={"gallery": "night"})
    assert (asked.status_code, asked.json()["type"]) == (404, "/problems/gallery-not-found")
    assert client.delete("/v1/galleries/night").status_code == 404


def test_default_is_not_dropped(client: TestClient) -> None:
    answer = client.delete("/v1/galleries/default")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/gallery-needed")


def test_one_that_cannot_be_used_says_why_and_names_no_folder(
    config: ServiceConfig, request: pytest.FixtureRequest
) -> None:
    Gallery.open(gallery_folder(config.data, "old"), bundle_id="0" * 64, dimension=48).close()
    client: TestClient = request.getfixturevalue("client")
    entry = client.get("/v1/galleries").json()["galleries"][1]
    assert (entry["name"], entry["state"], entry["size"]) == ("old", "unusable", None)
    assert "another bundle" in entry["reason"]
    assert str(config.data) not in str(entry)
    assert client.put("/v1/galleries/old", json={}).status_code == 409
    assert client.get("/readyz").status_code == 200
