"""Re-ranking by patches: against loops, from kept patches and from images, for every kind of query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.service.application import service_of
from vitreid.bundle import read_image
from vitreid.scoring.patches import Foreground, combine_scores
from vitreid.service.api.app import create_app
from vitreid.service.api.state import Service
from vitreid.service.config import ServiceConfig
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance.patch_backfill import PatchBackfill

JPEG = {"content-type": "image/jpeg"}
ITEMS = 12
SHARE = 0.6


@pytest.fixture(autouse=True)
def a_share_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """So large that patches change the order of a few random images."""
    monkeypatch.setattr("vitreid.service.search.patches.combine_scores", partial(combine_scores, share=SHARE))


@pytest.fixture
def client(tmp_path: Path, explained_bundle: Path) -> Iterator[TestClient]:
    config = ServiceConfig(data=tmp_path / "data", bundle=explained_bundle, threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as started:
        service_of(started).maintenance.stop()
        yield started


@pytest.fixture
def filled(client: TestClient, make_image: Callable[..., bytes]) -> TestClient:
    files = [("images", (f"{seed:04d}_c{1 + seed % 2}_1.jpg", make_image(seed))) for seed in range(ITEMS)]
    assert client.post("/v1/items", files=files).json()["added"] == ITEMS
    return client


def keep_patches(service: Service) -> None:
    PatchBackfill(service.explainer, service.embedder.prepare)(service.gallery())


def look(service: Service, contents: list[bytes]) -> list[Foreground]:
    pixels = [service.embedder.prepare(read_image(content)) for content in contents]
    return service.explainer.foreground(pixels, [None] * len(pixels))


def slow_score(query: np.ndarray, item: np.ndarray) -> float:
    """Mean cosine of the patches that are each other's nearest."""
    found = []
    for patch in item:
        nearest = max(range(len(query)), key=lambda i: float(query[i] @ patch))
        if max(float(query[nearest] @ other) for other in item) == float(query[nearest] @ patch):
            found.append(float(query[nearest] @ patch))
    return float(np.mean(found))


def expected_order(service: Service, query: list[bytes], matches: list[dict[str, Any]]) -> list[tuple[int, float]]:
    gallery = service.gallery()
    seen = np.concatenate([each.vectors for each in look(service, query)])
    scored = []
    for match in matches:
        [item] = look(service, [gallery.image(match["id"]) or b""])
        together = (1 - SHARE) * match["score"] + SHARE * slow_score(seen, item.vectors)
        scored.append((match["id"], (1 - together) / 2))
    return sorted(scored, key=lambda pair: pair[1])


def check(service: Service, query: list[bytes], plain: dict[str, Any], found: dict[str, Any]) -> None:
    expected = expected_order(service, query, plain["matches"])
    assert [match["id"] for match in found["matches"]] == [item_id for item_id, _ in expected]
    distances = [match["rerank_distance"] for match in found["matches"]]
    np.testing.assert_allclose(distances, [away for _, away in expected], atol=1e-4)
    assert {match["id"]: match["score"] for match in found["matches"]} == {
        match["id"]: match["score"] for match in plain["matches"]
    }
    assert found["query"]["rerank"] == "patches"
    assert found["query"]["rerank_top"] == 50


@pytest.mark.parametrize("kept", [False, True])
def test_an_image(filled: TestClient, make_image: Callable[..., bytes], kept: bool) -> None:
    service = service_of(filled)
    if kept:
        filled.put("/v1/galleries/default", json={"store_patches": True})
        keep_patches(service)
        assert len(service.gallery().foregrounds(range(1, ITEMS + 1), service.explainer.model or "")) == ITEMS
    plain, found = (
        filled.post(f"/v1/query?k=20&rerank={rerank}", content=make_image(50), headers=JPEG).json()
        for rerank in ("none", "patches")
    )
    check(service, [make_image(50)], plain, found)
    assert [match["id"] for match in found["matches"]] != [match["id"] for match in plain["matches"]]


def test_several_images(filled: TestClient, make_image: Callable[..., bytes]) -> None:
    query = [make_image(50), make_image(51)]
    files = [("image", each) for each in query]
    plain, found = (
        filled.post(f"/v1/query?k=20&rerank={rerank}", files=files).json() for rerank in ("none", "patches")
    )
    check(service_of(filled), query, plain, found)


def test_an_item(filled: TestClient) -> None:
    service = service_of(filled)
    plain, found = (filled.post(f"/v1/query/3?k=20&rerank={rerank}").json() for rerank in ("none", "patches"))
    check(service, [service.gallery().image(3) or b""], plain, found)


def test_only_the_best_are_compared(filled: TestClient, make_image: Callable[..., bytes]) -> None:
    plain, found = (
        filled.post(f"/v1/query?k=20&{rerank}", content=make_image(50), headers=JPEG).json()
        for rerank in ("rerank=none", "rerank=patches&rerank_top=5")
    )
    expected = expected_order(service_of(filled), [make_image(50)], plain["matches"][:5])
    assert [match["id"] for match in found["matches"]][:5] == [item_id for item_id, _ in expected]
    assert [match["id"] for match in found["matches"]][5:] == [match["id"] for match in plain["matches"]][5:]
    assert all(match["rerank_distance"] is None for match in found["matches"][5:])


def test_groups_by_their_best_items(filled: TestClient, make_image: Callable[..., bytes]) -> None:
    answer = filled.post("/v1/query?group_by=camera&rerank=patches", content=make_image(50), headers=JPEG).json()
    assert len(answer["matches"]) == 2
    assert all(match["rerank_distance"] is not None for match in answer["matches"])


def test_a_candidate_without_an_image(filled: TestClient, make_image: Callable[..., bytes]) -> None:
    filled.put("/v1/galleries/default", json={"store_images": False})
    files = {"images": ("0099_c1_1.jpg", make_image(99))}
    item_id = filled.post("/v1/items", files=files).json()["results"][0]["id"]
    answer = filled.post("/v1/query?k=20&rerank=patches", content=make_image(50), headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/images-missing")
    assert f"item {item_id} has no readable image" in answer.json()["detail"]
    others = filled.post(
        "/v1/query?k=20&rerank=patches&max_height=1000&exclude_cameras=c1", content=make_image(50), headers=JPEG
    )
    assert others.status_code == 200


def test_damaged_patches_are_no_answer(filled: TestClient, make_image: Callable[..., bytes]) -> None:
    filled.put("/v1/galleries/default", json={"store_patches": True})
    service = service_of(filled)
    keep_patches(service)
    gallery: Gallery = service.gallery()
    with gallery._store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE patches SET checksum = checksum + 1 WHERE item_id = 2")
    answer = filled.post("/v1/query?k=20&rerank=patches", content=make_image(50), headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/gallery-damaged")
