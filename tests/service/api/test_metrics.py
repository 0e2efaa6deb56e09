"""Metrics: what was done is counted, the text parses, and labels stay few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from vitreid.service.api import metrics as module
from vitreid.service.api.metrics import Metrics

Make = Callable[..., bytes]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def test_what_was_done_is_counted(client: TestClient, make_image: Make) -> None:
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(3)]
    client.post("/v1/items", files=files, data={"metadata": '{"camera_id": "gate"}'})
    for _ in range(2):
        assert client.post("/v1/query?camera_id=gate", content=make_image(1), headers=JPEG).status_code == 200
    client.post("/v1/query", content=b"no image", headers=JPEG)
    client.get("/v1/items/99")
    client.get("/nothing/at/all")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = samples(answer.text)
    assert value(found, "vitreid_requests_total", route="/v1/query", method="POST", status="200") == 2
    assert value(found, "vitreid_requests_total", route="/v1/query", method="POST", status="422") == 1
    assert value(found, "vitreid_requests_total", route="/v1/items/{item_id}", method="GET", status="404") == 1
    assert value(found, "vitreid_requests_total", route="other", method="GET", status="404") == 1
    assert value(found, "vitreid_request_seconds_count", route="/v1/query") == 3
    assert value(found, "vitreid_stage_seconds_count", stage="search") == 2
    for stage in ("decode", "wait", "run"):  # additions, too
        assert value(found, "vitreid_stage_seconds_count", stage=stage) == 3
    assert value(found, "vitreid_batch_images_sum") == 3 + 2 + 1  # additions, queries, and the start's own test query
    assert value(found, "vitreid_rejections_total", reason="bad-image") == 1
    assert value(found, "vitreid_rejections_total", reason="item-not-found") == 1
    assert value(found, "vitreid_best_score_count", gallery="default", camera="gate") == 2
    assert value(found, "vitreid_gallery_items", gallery="default") == 3
    assert value(found, "vitreid_gallery_up", gallery="default") == 1
    assert value(found, "vitreid_queue_images") == 0
    assert [labels for (name, labels) in found if name == "vitreid_index"]


def test_images_refused_for_their_quality_are_counted(client: TestClient, make_image: Make) -> None:
    client.put("/v1/galleries/strict", json={"reject": {"height": [1000, None]}})
    files = [("images", (f"000{seed}_c{seed}s1_000001_00.jpg", make_image(seed))) for seed in (1, 2)]
    assert client.post("/v1/items?gallery=strict", files=files).json()["rejected"] == 2
    found = samples(client.get("/metrics").text)
    refused = {labels: count for (name, labels), count in found.items() if name == "vitreid_rejections_total"}
    assert list(refused.values()) == [2]


def test_a_dropped_gallery_is_not_shown_any_more(client: TestClient, make_image: Make) -> None:
    client.put("/v1/galleries/night", json={})
    client.post("/v1/items?gallery=night", files=[("images", ("a.jpg", make_image(1)))])
    client.post("/v1/query?gallery=night", content=make_image(1), headers=JPEG)
    assert 'gallery="night"' in client.get("/metrics").text
    client.delete("/v1/galleries/night")
    assert 'gallery="night"' not in client.get("/metrics").text


def test_what_deletions_left_in_the_files_is_reported_until_it_is_purged(client: TestClient, make_image: Make) -> None:
    def pending() -> float | None:
        return value(samples(client.get("/metrics").text), "vitreid_purge_pending", gallery="default")

    client.post("/v1/items", files=[("images", ("a.jpg", make_image(1)))])
    assert pending() == 0  # an addition leaves nothing to be purged
    client.delete("/v1/items/1")
    assert pending() == 1


def test_each_application_has_numbers_of_its_own() -> None:
    first, second = Metrics(), Metrics()
    first.rejected("queue-full")
    assert value(samples(first.text().decode()), "vitreid_rejections_total", reason="queue-full") == 1
    assert value(samples(second.text().decode()), "vitreid_rejections_total", reason="queue-full") is None


def test_clients_cannot_make_up_labels_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAMERAS", 3)
    metrics = Metrics()
    for number in range(10):
        metrics.best_match("default", f"c{number}", 0.5)
    metrics.best_match("default", None, 0.5)
    found = samples(metrics.text().decode())
    counts = {
        dict(labels)["camera"]: count for (name, labels), count in found.items() if name == "vitreid_best_score_count"
    }
    assert counts == {"c0": 1, "c1": 1, "c2": 1, "other": 7, "unknown": 1}


@pytest.mark.slow
def test_made_up_cameras_do_not_push_out_real_ones(client: TestClient, make_image: Make) -> None:
    labels = {"metadata": '{"camera_id": "gate"}'}
    client.post("/v1/items", files=[("images", ("a.jpg", make_image(1)))], data=labels)
    mapping = client.put("/v1/galleries/default/cameras", json={"mapping": {"hall": "c1"}})
    for number in range(module.CAMERAS + 1):
        client.post(f"/v1/query?camera_id=made-up-{number}", content=make_image(1), headers=JPEG)
    client.post("/v1/query?camera_id=gate", content=make_image(1), headers=JPEG)
    client.post("/v1/query?camera_id=hall", content=make_image(1), headers=JPEG)
    found = samples(client.get("/metrics").text)
    assert value(found, "vitreid_best_score_count", gallery="default", camera="gate") == 1
    mapped = mapping.status_code == 200
    assert value(found, "vitreid_best_score_count", gallery="default", camera="hall") == (1 if mapped else None)
    others = module.CAMERAS + 1 if mapped else module.CAMERAS + 2
    assert value(found, "vitreid_best_score_count", gallery="default", camera="other") == others


def test_methods_that_a_client_makes_up_are_one(client: TestClient) -> None:
    for number in range(50):
        client.request(f"MADE{number}", "/v1/info")
        client.request(f"MADE{number}", f"/nothing/{number}")
    methods = {dict(labels).get("method") for name, labels in samples(client.get("/metrics").text)}
    assert methods <= {None, "other", "GET"}


def test_drifted_scores_are_shown_and_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    rng = np.random.default_rng(0)
    for score in rng.normal(0.7, 0.05, 1200):
        metrics.best_match("default", "gate", float(score))
    calm = value(samples(metrics.text().decode()), "vitreid_score_drift", gallery="default", camera="gate")
    assert calm is not None
    assert calm < 0.25
    assert not caplog.records
    for score in rng.normal(0.5, 0.05, 200):
        metrics.best_match("default", "gate", float(score))
    drifted = value(samples(metrics.text().decode()), "vitreid_score_drift", gallery="default", camera="gate")
    assert drifted is not None
    assert drifted > 0.25
    assert "camera gate have drifted" in caplog.text
    assert [alarm.camera_id for alarm in metrics.drift.alarms()] == ["gate"]
