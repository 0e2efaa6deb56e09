"""Limits on uploads: they stay in memory, and no part is larger or longer than needed."""

from __future__ import annotations

import io
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pydantic_core import from_json

from vitreid.service.api.schemas.erasures import MAX_CONFIRMED, MAX_ITEMS
from vitreid.service.config import ServiceConfig
from vitreid.service.gallery.rows.erasure import LONGEST_REASON
from vitreid.service.values.fields import MAX_ID

Make = Callable[..., bytes]


@pytest.fixture
def runtime() -> str:
    """One is enough: nothing here depends on the model."""
    return "fake"


@pytest.fixture
def config(config: ServiceConfig) -> ServiceConfig:
    """With bodies as large as in practice."""
    return config.model_copy(update={"max_body_bytes": 32 * 2**20})


@pytest.fixture
def large() -> bytes:
    """An image of more than a mebibyte."""
    pixels = np.random.default_rng(1).integers(0, 256, (800, 600, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    assert out.tell() > 2**20
    return out.getvalue()


@pytest.mark.parametrize(
    ("route", "field"),
    [("/v1/query", "image"), ("/v1/embed", "image"), ("/v1/items", "images"), ("/v1/explain", "image")],
)
def test_images_are_never_written_to_a_temporary_file(
    client: TestClient, large: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str, field: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))  # whoever writes there gets an error
    files = [(field, ("a.png", large))] * (2 if route == "/v1/explain" else 1)
    answer = client.post(route, files=files)
    assert answer.status_code in (200, 409), answer.text  # 409: this model explains nothing
    assert not (tmp_path / "missing").exists()


def send(client: TestClient, image: bytes, metadata: Any) -> Any:
    return client.post("/v1/items", files=[("images", ("a.jpg", image)), ("metadata", ("m.json", metadata))])


def test_metadata_as_a_file_has_the_cap_of_a_field(client: TestClient, make_image: Make) -> None:
    answer = send(client, make_image(1), b" " * (4 * 2**20 + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert "metadata" in answer.json()["detail"]
    text = client.post("/v1/items", files={"images": make_image(1)}, data={"metadata": " " * (4 * 2**20 + 1)})
    assert (text.status_code, text.json()["type"]) == (413, "/problems/too-large")


def test_a_long_list_is_refused_by_its_length(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vitreid.service.intake.image_labels.FrameLabels.model_validate",
        lambda given: pytest.fail("an entry was validated"),
    )
    answer = send(client, make_image(1), json.dumps([3] * 100_000).encode())
    assert answer.json()["detail"] == "metadata has 100,000 entries for 1 images; send one per image"


def test_metadata_is_read_in_a_thread(client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(text: bytes) -> object:
        threads.append(threading.current_thread().name)
        return from_json(text)

    monkeypatch.setattr("vitreid.service.intake.image_labels.from_json", noted)
    assert send(client, make_image(1), b"{}").status_code == 200
    assert [name.startswith("worker") for name in threads] == [True]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"note": "x" * 16_384}, "16,396 bytes as JSON; an item's metadata has at most 16,384"),
        ({str(key): key for key in range(65)}, "65 keys; an item's metadata has at most 64"),
    ],
)
def test_the_metadata_of_an_item_is_bounded(client: TestClient, make_image: Make, metadata: Any, expected: str) -> None:
    whole = send(client, make_image(1), json.dumps({"metadata": metadata}).encode())
    assert whole.status_code == 422
    assert expected in whole.json()["detail"]
    assert send(client, make_image(1), b"{}").status_code == 200
    [item] = client.get("/v1/items").json()["items"]
    patched = client.patch(f"/v1/items/{item['id']}", json={"metadata": metadata})
    assert patched.status_code == 422
    assert expected in patched.json()["detail"]


def test_boxes_and_their_frame_share_the_bounds(client: TestClient, make_image: Make) -> None:
    boxes = [{"box": [0, 0, 20, 40], "metadata": {"n": "y" * 7000}}] * 500
    answer = send(client, make_image(1), json.dumps({"metadata": {"note": "x" * 10_000}, "boxes": boxes}).encode())
    assert "metadata of box 0, with that of its frame, has 17,0" in answer.json()["detail"]


def test_a_problem_lists_few_errors_and_counts_all(client: TestClient) -> None:
    answer = client.post("/v1/erasures", json={"item_ids": ["x"] * 5000})
    problem = answer.json()
    assert (answer.status_code, len(problem["errors"]), problem["error_count"]) == (422, 20, 5000)
    assert problem["errors"][3]["where"] == "body.item_ids[3]"
    assert problem["errors"][3]["message"].startswith("is 'x': ")
    assert len(answer.content) < 5000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/erasures", {"item_ids": ["x"] * 10_001}),
        ("POST", "/v1/erasures", {"items": ["x"] * 2_001}),
        ("PUT", "/v1/galleries/default/cameras", {"mapping": {f"c{n}": 3 for n in range(10_001)}}),
        ("PUT", "/v1/galleries/default", {"cameras": {f"c{n}": 3 for n in range(10_001)}}),
        ("GET", "/v1/items?" + "&".join(["cameras="] * 257), None),
        ("POST", "/v1/query/1?" + "&".join(["exclude_cameras="] * 257), None),
        ("POST", "/v1/explain?" + "&".join(["item_id=1"] * 3), None),
    ],
)
def test_every_list_is_refused_by_its_length_first(client: TestClient, method: str, path: str, body: Any) -> None:
    problem = client.request(method, path, json=body).json()
    assert problem["error_count"] == 1, problem["detail"]
    assert "entries; at most" in problem["detail"]


@pytest.mark.parametrize(
    "named",
    [
        {"items": [{"id": MAX_ID, "image_hash": "f" * 64}] * MAX_CONFIRMED},
        {"item_ids": [MAX_ID] * MAX_ITEMS},
    ],
)
def test_the_longest_erasure_fits_into_a_body(client: TestClient, named: dict[str, Any]) -> None:
    answer = client.post("/v1/erasures", json=named | {"reason": "x" * LONGEST_REASON})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/item-not-found")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/v1/" + "x" * 3000,
        "/v1/items/" + "9" * 3000,
        "/v1/items?" + "x" * 3000 + "=1",
        "/v1/items?cameras=" + "x" * 3000,
    ],
)
def test_refusals_are_short(client: TestClient, path: str) -> None:
    assert len(client.get(path).content) < 1500


def test_a_field_that_is_not_known_is_named_shortly(client: TestClient, make_image: Make) -> None:
    for route in ("/v1/items", "/v1/query"):
        answer = client.post(route, files={"x" * 3000: make_image(1)})
        assert answer.status_code == 422
        assert len(answer.json()["detail"]) < 250


@pytest.mark.parametrize(
    "metadata", ["[" + "[]," * 1_000_000 + "[]]", json.dumps(dict.fromkeys(map(str, range(201_000)), 1))]
)
def test_metadata_of_too_many_values_is_refused_unread(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch, metadata: str
) -> None:
    monkeypatch.setattr("vitreid.service.intake.image_labels.from_json", lambda text: pytest.fail("was parsed"))
    answer = client.post("/v1/items", files={"images": ("a.jpg", make_image(1))}, data={"metadata": metadata})
    assert answer.status_code == 422
    assert "commas, at most 200,000 are allowed" in answer.json()["detail"]


@pytest.mark.parametrize(("route", "field", "most"), [("/v1/query", "image", 8), ("/v1/items", "images", 20)])
def test_too_many_files_are_refused_with_the_limit(
    client: TestClient, make_image: Make, route: str, field: str, most: int
) -> None:
    answer = client.post(route, files=[(field, ("a.jpg", make_image(1)))] * (most + 2))
    assert answer.status_code in (400, 413, 422)
    assert f"{most} files" in answer.json()["detail"]
