"""Probabilities over HTTP, with a calibrated model and without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.calibrations import PAIRS, made
from tests.service.application import service_of
from vitreid.bundle import Bundle, Calibration
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig

Make = Callable[..., bytes]
RATE = {"value": 0.5, "low": 0.4, "high": 0.6}
THRESHOLDS = [
    {
        "cameras": None, "pairs": PAIRS, "unmeasured_rates": [0.001],
        "at": [{"false_match_rate": 0.01, "score": 0.6, "false_matches": RATE, "true_matches": RATE}],
    },
    {"cameras": ["c1", "c2"], "pairs": PAIRS, "at": [], "unmeasured_rates": [0.01, 0.001]},
]  # fmt: skip


@pytest.fixture
def calibration(config: ServiceConfig) -> Calibration:
    assert config.bundle is not None
    return made(bundle_id=Bundle.open(config.bundle).manifest.bundle_id, thresholds=THRESHOLDS)


@pytest.fixture
def calibrated(config: ServiceConfig, calibration: Calibration, tmp_path: Path) -> Iterator[TestClient]:
    """Eight images of four persons: the first four by c1, the others by c2."""
    assert config.bundle is not None
    path = Path(shutil.copytree(config.bundle, tmp_path / "bundle"))
    Bundle.open(path).extend(calibration=calibration)
    with TestClient(create_app(config.model_copy(update={"bundle": path})), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def filled(calibrated: TestClient, make_image: Make) -> TestClient:
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(8)]
    labels = [
        {"person_id": f"000{1 + seed % 4}", "camera_id": f"c{1 + seed // 4}", "track_id": f"t{seed % 3}"}
        for seed in range(8)
    ]
    added = calibrated.post("/v1/items", files=files, data={"metadata": json.dumps(labels)})
    assert added.status_code == 200
    return calibrated


def ask(client: TestClient, *images: bytes, camera_id: str | None = "c9", **params: Any) -> Any:
    """Search with images by a camera that took no item, unless another one, or none, is said."""
    files = [("image", (f"{i}.jpg", content)) for i, content in enumerate(images)]
    params |= {} if camera_id is None else {"camera_id": camera_id}
    return client.post("/v1/query", files=files, params=params).json()


def test_each_match_has_the_probability_of_its_score(
    filled: TestClient, make_image: Make, calibration: Calibration
) -> None:
    body = ask(filled, make_image(3))
    assert len(body["matches"]) == 8
    for match in body["matches"]:
        assert match["probability"] == pytest.approx(calibration.probability(match["score"]))
    assert body["matches"][0]["probability"] == pytest.approx(11 / 12)
    assert body["query"]["min_probability"] is None


def test_a_query_without_a_camera_gets_none(filled: TestClient, make_image: Make) -> None:
    """Any of the items may be by the camera that took it."""
    matches = ask(filled, make_image(3), camera_id=None)["matches"]
    assert [match["probability"] for match in matches] == [None] * 8
    refused = ask(filled, make_image(3), camera_id=None, min_probability=0.5)
    assert (refused["status"], "give camera_id" in refused["detail"]) == (422, True)


def test_items_without_a_camera_have_none(filled: TestClient, make_image: Make) -> None:
    assert filled.post("/v1/items", files=[("images", ("some.jpg", make_image(50)))]).status_code == 200
    matches = ask(filled, make_image(50))["matches"]
    assert [match["probability"] is None for match in matches] == [True] + 8 * [False]
    assert None not in {match["camera_id"] for match in ask(filled, make_image(50), min_probability=0.11)["matches"]}


def test_none_in_a_gallery_of_another_domain(filled: TestClient, make_image: Make) -> None:
    assert filled.put("/v1/galleries/default", json={"domain": "drawn"}).status_code == 200
    assert {match["probability"] for match in ask(filled, make_image(3))["matches"]} == {None}
    refused = ask(filled, make_image(3), min_probability=0.5)
    assert (refused["status"], refused["type"].rpartition("/")[2]) == (409, "not-calibrated")


def test_matches_by_the_querys_own_camera_have_none(filled: TestClient, make_image: Make) -> None:
    matches = ask(filled, make_image(3), camera_id="c1")["matches"]
    assert {match["camera_id"]: match["probability"] is None for match in matches} == {"c1": True, "c2": False}
    item_id = next(match["id"] for match in matches if match["camera_id"] == "c2")
    matches = filled.post(f"/v1/query/{item_id}").json()["matches"]
    assert {match["camera_id"]: match["probability"] is None for match in matches} == {"c1": False, "c2": True}


@pytest.mark.slow
@pytest.mark.parametrize("least", [0.12, 0.5, 0.9])
def test_a_least_probability(filled: TestClient, make_image: Make, calibration: Calibration, least: float) -> None:
    every = ask(filled, make_image(3))["matches"]
    body = ask(filled, make_image(3), min_probability=least)
    expected = [match["id"] for match in every if match["probability"] >= least]
    assert [match["id"] for match in body["matches"]] == expected
    assert body["query"]["min_probability"] == least
    assert body["query"]["min_score"] == pytest.approx(calibration.min_score(least))


def test_nobody_reaches_it(filled: TestClient, make_image: Make) -> None:
    body = ask(filled, make_image(77), min_probability=0.9)
    assert (body["matches"], body["no_match"], body["no_match_reason"]) == ([], True, "below-min-score")
    assert body["best_score"] < body["query"]["min_score"]


def test_items_by_the_querys_own_camera_are_left_out_with_a_least_probability(
    filled: TestClient, make_image: Make
) -> None:
    body = ask(filled, make_image(3), camera_id="c1", min_probability=0.05)
    assert {match["camera_id"] for match in body["matches"]} == {"c2"}
    assert body["searched"] == 4
    assert body["query"]["filter"] == {}


def test_the_higher_of_minimum_score_and_minimum_probability_counts(filled: TestClient, make_image: Make) -> None:
    body = ask(filled, make_image(3), min_score=0.95, min_probability=0.2)
    assert body["query"]["min_score"] == 0.95
    service_of(filled).gallery().change_settings(min_score=0.97)
    assert ask(filled, make_image(3), min_probability=0.2)["query"]["min_score"] == 0.97


def test_groups_have_the_probability_of_their_best_item(
    filled: TestClient, make_image: Make, calibration: Calibration
) -> None:
    items = {match["id"]: match["probability"] for match in ask(filled, make_image(3))["matches"]}
    for group_by in ("person", "track", "camera"):
        body = ask(filled, make_image(3), group_by=group_by)
        assert {match["id"]: match["probability"] for match in body["matches"]}.items() <= items.items()
        kept = ask(filled, make_image(3), group_by=group_by, min_probability=0.5)["matches"]
        assert [match["id"] for match in kept] == [m["id"] for m in body["matches"] if m["probability"] >= 0.5]


def test_re_ranking_changes_the_order_and_no_probability(filled: TestClient, make_image: Make) -> None:
    plain = {match["id"]: match["probability"] for match in ask(filled, make_image(3))["matches"]}
    body = ask(filled, make_image(3), rerank="k-reciprocal", rerank_top=6)
    assert {match["id"]: match["probability"] for match in body["matches"]} == plain


def test_a_mean_of_images_has_none(filled: TestClient, make_image: Make) -> None:
    several = ask(filled, make_image(3), make_image(4))
    expanded = ask(filled, make_image(3), expand=2)
    [item_id, *_] = [match["id"] for match in ask(filled, make_image(0))["matches"]]
    track = filled.post(f"/v1/query/{item_id}", params={"pool": "track"}).json()
    for body in (several, expanded, track):
        assert {match["probability"] for match in body["matches"]} == {None}
    alone = filled.post(f"/v1/query/{item_id}").json()
    assert None not in {match["probability"] for match in alone["matches"] if match["camera_id"] == "c2"}


@pytest.mark.parametrize("params", [{"expand": 2}, {}])
def test_a_least_probability_of_a_mean_is_refused(filled: TestClient, make_image: Make, params: dict[str, Any]) -> None:
    images = [make_image(3)] if params else [make_image(3), make_image(4)]
    problem = ask(filled, *images, min_probability=0.5, **params)
    assert (problem["type"], problem["status"]) == ("/problems/bad-parameter", 422)
    assert "one image without expand" in problem["detail"]


def test_a_least_probability_that_no_score_reaches_is_refused(filled: TestClient, make_image: Make) -> None:
    problem = ask(filled, make_image(3), min_probability=0.95)
    assert problem["type"] == "/problems/bad-parameter"
    assert "highest is 0.9167" in problem["detail"]


@pytest.mark.parametrize("value", ["0", "1", "-0.5", "nan", "much"])
def test_what_is_no_probability(filled: TestClient, make_image: Make, value: str) -> None:
    assert ask(filled, make_image(3), min_probability=value)["status"] == 422


def test_without_a_calibration_there_is_none_and_a_least_one_is_refused(client: TestClient, make_image: Make) -> None:
    client.post("/v1/items", files={"images": ("a.jpg", make_image(1))})
    matches = ask(client, make_image(1))["matches"]
    assert [match["probability"] for match in matches] == [None]
    for path in ("/v1/query", f"/v1/query/{matches[0]['id']}"):
        answer = client.post(path, params={"min_probability": 0.5}, files={"image": ("a.jpg", make_image(1))})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (409, "/problems/not-calibrated")
        assert "vitreid export calibrate" in problem["detail"]
    assert client.get("/v1/info").json()["bundle"]["calibration"] is None


def test_it_is_refused_before_the_model_works(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(service_of(client).queries.embedding), "embed", None)
    assert ask(client, make_image(1), min_probability=0.5)["type"] == "/problems/not-calibrated"


def test_info_says_how_the_model_is_calibrated(calibrated: TestClient, calibration: Calibration) -> None:
    shown = calibrated.get("/v1/info").json()["bundle"]["calibration"]
    assert (shown["method"], shown["prior"]) == ("isotonic", 0.1)
    assert shown["max_probability"] == pytest.approx(11 / 12)
    assert shown["data"]["name"] == "site"
    assert shown["held_out"]["base_log_loss"] == 0.3
    assert [each["cameras"] for each in shown["thresholds"]] == [None, ["c1", "c2"]]
    assert shown["thresholds"][0]["at"][0]["score"] == 0.6
    assert shown["thresholds"][1]["unmeasured_rates"] == [0.01, 0.001]
    assert "not an identity" in shown["claim"]
