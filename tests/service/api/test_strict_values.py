"""A value of another type is a mistake at every door, never a shorthand: no digits for times, no `true` for numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

Make = Callable[..., bytes]


@pytest.fixture
def runtime() -> str:
    """The fake runtime: the model does not matter here."""
    return "fake"


TIMES = ["20261120", "2026", 20261120, 1795161600.0, True, "2026-11-20", "2026-11-20T08:15:00"]


def add(client: TestClient, content: bytes, **labels: Any) -> Any:
    return client.post("/v1/items", files={"images": ("a.jpg", content)}, data={"metadata": json.dumps(labels)})


@pytest.mark.slow
@pytest.mark.parametrize("time", TIMES)
def test_only_rfc_3339_is_a_time(client: TestClient, make_image: Make, time: object) -> None:
    assert add(client, make_image(1), captured_at=time).status_code == 422
    assert add(client, make_image(1), boxes=[{"box": [0, 0, 30, 60], "captured_at": time}]).status_code == 422
    assert client.get("/v1/items").json()["items"] == []
    assert add(client, make_image(1)).status_code == 200
    assert client.patch("/v1/items/1", json={"captured_at": time}).status_code == 422
    for name in ("since", "until"):
        assert client.get("/v1/items", params={name: f"{time}"}).status_code == 422
        assert client.get("/v1/audit", params={name: f"{time}"}).status_code == 422
        asked = client.post(
            "/v1/query", params={name: f"{time}"}, content=make_image(1), headers={"content-type": "image/jpeg"}
        )
        assert asked.status_code == 422


@pytest.mark.parametrize("ids", [[True], ["1"], [1.0], ["1_0"], 1, "1"])
def test_only_whole_numbers_are_items_to_erase(client: TestClient, make_image: Make, ids: object) -> None:
    assert add(client, make_image(1)).status_code == 200
    assert client.post("/v1/erasures", json={"item_ids": ids}).status_code == 422
    assert [item["id"] for item in client.get("/v1/items").json()["items"]] == [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"retention_days": "30"},
        {"retention_days": True},
        {"store_images": 0},
        {"store_patches": "no"},
        {"min_score": "0.5"},
        {"reject": {"height": ["64", None]}},
        {"reject": {"height": [True, None]}},
        {"reject": {"height": [100, 10]}},
    ],
)
def test_settings_are_strict(client: TestClient, settings: dict[str, Any]) -> None:
    assert client.put("/v1/galleries/night", json=settings).status_code == 422
    assert client.get("/v1/items?gallery=night").status_code == 404


@pytest.mark.parametrize("value", ["nan", "Infinity", "-inf"])
def test_a_range_of_quality_is_finite(client: TestClient, value: str) -> None:
    body = f'{{"reject": {{"height": [{json.dumps(float(value))}, null]}}}}'
    answer = client.put("/v1/galleries/night", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize("box", [["0", 0, 30, 60], [False, 0, 30, 60]])
def test_boxes_are_numbers(client: TestClient, make_image: Make, box: list[Any]) -> None:
    assert add(client, make_image(1), boxes=[{"box": box}]).status_code == 422


@pytest.mark.parametrize(
    "query",
    ["k=1_0", "k=10.0", "k=%2010", "k=true", "min_score=nan", "min_score=0_1", "expand=1.0", "min_height=1_0"],
)
def test_numbers_in_an_address_are_digits(client: TestClient, make_image: Make, query: str) -> None:
    answer = client.post(f"/v1/query?{query}", content=make_image(1), headers={"content-type": "image/jpeg"})
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/v1/items/1_0", "/v1/items/%201", "/v1/items?limit=1_0", "/v1/audit?after=1.0"])
def test_so_are_ids_and_pages(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 422


@pytest.mark.parametrize(
    ("age", "days", "said"),
    [
        (timedelta(days=-400), None, "in the future"),
        (timedelta(days=365 * 40), None, "over 30 years ago"),
        (timedelta(days=40), 30, "older than the 30 days of retention"),
        (timedelta(days=20), 30, None),
        (timedelta(hours=-1), None, None),
    ],
)
def test_a_time_that_can_hardly_be_meant_is_reported(
    client: TestClient, make_image: Make, age: timedelta, days: int | None, said: str | None
) -> None:
    if days is not None:
        assert client.put("/v1/galleries/default", json={"retention_days": days}).status_code == 200
    [result] = add(client, make_image(1), captured_at=(datetime.now(UTC) - age).isoformat()).json()["results"]
    assert result["status"] == "added"
    assert said is result["warning"] is None or said in result["warning"]
    [again] = add(client, make_image(1), captured_at=(datetime.now(UTC) - age).isoformat()).json()["results"]
    assert again["warning"] is None
