"""POST /v1/query and /v1/embed: good and bad images, parameters, bodies. The searches are in `search/`."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.service.application import service_of
from vitreid.bundle import Bundle, BundleRunner, read_image, resize_to_spec
from vitreid.service.errors import EmbeddingFailed
from vitreid.service.models.batching import Embedded

Make = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def filled(client: TestClient, make_image: Make) -> TestClient:
    """A gallery of eight images of four persons by two cameras, which the model learned."""
    service_of(client).gallery().change_settings(cameras={"c1": "c1", "c2": "c2"})
    files = [
        ("images", (f"{1 + seed % 4:04d}_c{1 + seed // 4}s1_000001_00.jpg", make_image(seed))) for seed in range(8)
    ]
    assert client.post("/v1/items", files=files).status_code == 200
    return client


def ask(client: TestClient, content: bytes, kind: str = "image/jpeg", **params: Any) -> Any:
    return client.post("/v1/query", content=content, headers={"content-type": kind}, params=params)


def test_a_query_finds_its_own_image_first(filled: TestClient, make_image: Make, tiny_bundle: Path) -> None:
    body = ask(filled, make_image(5), k=3, camera_id="c2").json()
    best = body["matches"][0]
    assert [match["rank"] for match in body["matches"]] == [1, 2, 3]
    assert best["score"] == pytest.approx(1, abs=1e-5)
    assert (best["person_id"], best["camera_id"], best["source"]) == ("0002", "c2", "0002_c2s1_000001_00.jpg")
    assert best["image_url"] == f"/v1/items/{best['id']}/image"
    scores = [match["score"] for match in body["matches"]]
    assert scores == sorted(scores, reverse=True)
    assert body["gallery_size"] == 8
    assert body["bundle_id"] == Bundle.open(tiny_bundle).manifest.bundle_id
    assert body["query"] == {
        "images": 1, "item_id": None, "height": 64, "width": 32, "camera_id": "c2", "camera_known": True, "k": 3,
        "min_score": None, "min_probability": None, "group_by": "item", "filter": {}, "expand": 0, "rerank": "none",
        "rerank_top": 0, "gallery": "default",
    }  # fmt: skip
    assert (body["no_match"], body["no_match_reason"], body["searched"]) == (False, None, 8)
    assert body["best_score"] == best["score"]
    assert set(body["timings_ms"]) == {"decode", "wait", "run", "embed", "search", "rerank", "total"}
    assert "human decides" in body["note"]


def test_raw_and_form_bodies_give_the_same_candidates(filled: TestClient, make_image: Make) -> None:
    raw = ask(filled, make_image(3), camera_id="c1").json()["matches"]
    form = filled.post("/v1/query", files={"image": ("a.jpg", make_image(3))}, params={"camera_id": "c1"})
    assert form.json()["matches"] == raw


@pytest.mark.parametrize("runtime", ["onnx"], indirect=True)
def test_scores_are_those_of_the_reference_runner(filled: TestClient, make_image: Make, tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    runner = BundleRunner(bundle, threads=1)

    def embed(content: bytes, camera: int) -> np.ndarray:
        pixels = resize_to_spec(read_image(content), bundle.manifest.image)[None]
        return runner.run(pixels, np.array([camera]))[0]

    gallery = np.stack([embed(make_image(seed), seed // 4) for seed in range(8)])
    for camera_id, camera in (("c1", 0), ("c2", 1), (None, -1), ("never seen", -1)):
        params = {} if camera_id is None else {"camera_id": camera_id}
        body = ask(filled, make_image(20), k=8, **params).json()
        expected = np.sort(gallery @ embed(make_image(20), camera))[::-1]
        assert [match["score"] for match in body["matches"]] == pytest.approx(expected, abs=1e-5)
        assert body["query"]["camera_known"] is (camera >= 0)


def test_min_score_and_k(filled: TestClient, make_image: Make) -> None:
    everything = ask(filled, make_image(3), k=10_000).json()["matches"]
    assert len(everything) == 8
    above = everything[2]["score"]
    assert len(ask(filled, make_image(3), min_score=above - 1e-5).json()["matches"]) == 3


def no_match(body: dict[str, Any]) -> tuple[Any, ...]:
    assert body["matches"] == []
    return body["no_match"], body["no_match_reason"], body["searched"], body["gallery_size"]


def test_why_there_is_no_match(client: TestClient, make_image: Make) -> None:
    body = ask(client, make_image(1)).json()
    assert no_match(body) == (True, "empty-gallery", 0, 0)
    assert body["best_score"] is None
    for seed in range(3):
        client.post("/v1/items", files={"images": (f"0001_c1s1_00000{seed}_00.jpg", make_image(seed))})
    body = ask(client, make_image(30), min_score=1).json()
    assert no_match(body) == (True, "below-min-score", 3, 3)
    assert -1 <= body["best_score"] < 1
    assert no_match(ask(client, make_image(1), cameras="elsewhere").json()) == (True, "nothing-passed-the-filter", 0, 3)


def test_the_gallerys_minimum_score_counts_until_another_is_asked_for(filled: TestClient, make_image: Make) -> None:
    service_of(filled).gallery().change_settings(min_score=0.999)
    body = ask(filled, make_image(2), camera_id="c1").json()
    assert ([match["score"] for match in body["matches"]], body["query"]["min_score"]) == ([pytest.approx(1)], 0.999)
    assert ask(filled, make_image(30)).json()["no_match_reason"] == "below-min-score"
    assert len(ask(filled, make_image(30), min_score=-1).json()["matches"]) == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        *("k=0", "k=10001", "k=x", "min_score=2", "min_score=nan", "camera_id=", "camera_id=%00", "cam=c1", "gallery="),
        *("group_by=shoe", "rerank=yes", "rerank_top=50", "rerank=k-reciprocal&rerank_top=501", "expand=-1"),
        *("rerank_k1=5", "rerank=patches&rerank_lambda=0.5", "rerank=k-reciprocal&rerank_lambda=2"),
        *("since=yesterday", "since=2026-05-02T00:00:00Z&until=2026-05-01T00:00:00Z", "metadata=[1]", "pool=track"),
        *("min_height=9&max_height=8", "min_beauty=3", "exclude_same_camera=true", "cameras=c1&exclude_cameras=c1"),
        "camera_id=c1&cameras=c1&exclude_same_camera=true",
    ],
)
def test_parameters_outside_of_what_is_allowed(client: TestClient, make_image: Make, params: str) -> None:
    answer = client.post(f"/v1/query?{params}", content=make_image(1), headers=JPEG)
    assert answer.status_code == (404 if params == "gallery=" else 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_unknown_gallery(client: TestClient, make_image: Make) -> None:
    problem = ask(client, make_image(1), gallery="other").json()
    assert problem["type"] == "/problems/gallery-not-found"
    assert "'other'" in problem["detail"]
    assert problem["instance"] == "/v1/query"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def unusual_images() -> Iterator[tuple[str, bytes]]:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    rgb = Image.fromarray(pixels)
    yield "cmyk", saved(rgb.convert("CMYK"), "JPEG")
    yield "grey", saved(rgb.convert("L"), "JPEG")
    yield "palette", saved(rgb.convert("P"), "PNG")
    yield "16-bit", saved(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG")
    yield "transparent", saved(rgb.convert("RGBA"), "WEBP")
    yield "animated", saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], duration=100)


def png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 64)
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bad_images() -> Iterator[tuple[str, bytes]]:
    rgb = Image.new("RGB", (32, 64), (200, 40, 90))
    yield "truncated", saved(rgb, "JPEG")[:-80]
    yield "zero-byte", b""
    yield "1x1", saved(rgb.resize((1, 1)), "PNG")
    yield "huge header", png_header(30_000, 30_000)
    yield "text renamed .jpg", b"this is no image at all\n" * 20
    yield "gif", saved(rgb, "GIF")
    yield "bmp", saved(rgb, "BMP")


@pytest.mark.parametrize(
    ("name", "content"), list(unusual_images()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_unusual_images_are_answered(client: TestClient, name: str, content: bytes) -> None:
    assert ask(client, content, "image/png").status_code == 200


@pytest.mark.parametrize(
    ("name", "content"), list(bad_images()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_images_are_named_and_the_next_query_is_answered(
    client: TestClient, make_image: Make, name: str, content: bytes
) -> None:
    answer = client.post("/v1/query", files={"image": (f"{name}.jpg", content)})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/bad-image"
    assert f"{name}.jpg" in problem["detail"]
    assert "\n" not in problem["detail"]
    assert ask(client, content).status_code == 422
    assert ask(client, make_image(1)).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "image/gif", "application/x-www-form-urlencoded", ""]
)
def test_other_bodies_are_refused_with_what_is_taken(client: TestClient, make_image: Make, kind: str) -> None:
    answer = client.post("/v1/query", content=make_image(1), headers={"content-type": kind} if kind else {})
    assert answer.status_code == 415
    assert "image/jpeg" in answer.json()["detail"]


def test_forms_without_one_to_eight_images(client: TestClient, make_image: Make) -> None:
    file = ("a.jpg", make_image(1))
    for form in (
        {"files": [("image", file)] * 9},
        {"files": {"photo": file}},
        {"data": {"image": "x"}, "files": {"y": file}},
        {"data": {"k": "3"}, "files": {"image": file}},
    ):
        for path in ("/v1/query", "/v1/embed"):
            assert client.post(path, **form).json()["type"] == "/problems/bad-parameter"


def embedding(client: TestClient, *images: bytes, **params: Any) -> np.ndarray:
    files = [("image", (f"{i}.jpg", content)) for i, content in enumerate(images)]
    body = client.post("/v1/embed", files=files, params=params).json()
    assert (body["images"], body["dimension"]) == (len(images), len(body["embedding"]))
    return np.array(body["embedding"])


def test_several_images_are_searched_with_their_mean(filled: TestClient, make_image: Make) -> None:
    contents = [make_image(seed) for seed in (20, 21, 22)]
    each = np.stack([embedding(filled, content, camera_id="c2") for content in contents])
    mean = each.sum(0) / np.linalg.norm(each.sum(0))
    np.testing.assert_allclose(embedding(filled, *contents, camera_id="c2"), mean, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-5)
    files = [("image", ("a.jpg", content)) for content in contents]
    body = filled.post("/v1/query", files=files, params={"camera_id": "c2", "k": 8}).json()
    gallery = np.stack([embedding(filled, make_image(seed), camera_id=f"c{1 + seed // 4}") for seed in range(8)])
    expected = np.sort(gallery @ mean)[::-1]
    assert [match["score"] for match in body["matches"]] == pytest.approx(expected, abs=1e-5)
    assert body["query"]["images"] == 3


def test_an_embedding_knows_its_camera_and_model(filled: TestClient, make_image: Make, tiny_bundle: Path) -> None:
    body = ask_embed(filled, make_image(1), camera_id="c1")
    assert body["camera_known"] is True
    assert body["bundle_id"] == Bundle.open(tiny_bundle).manifest.bundle_id
    assert ask_embed(filled, make_image(1), camera_id="never seen")["camera_known"] is False
    assert filled.post("/v1/embed?k=3", content=make_image(1), headers=JPEG).status_code == 422


def ask_embed(client: TestClient, content: bytes, **params: Any) -> Any:
    return client.post("/v1/embed", content=content, headers=JPEG, params=params).json()


def test_one_bad_image_of_several_is_named(client: TestClient, make_image: Make) -> None:
    files = [
        ("image", ("a.jpg", make_image(1))),
        ("image", ("b.jpg", b"no image")),
        ("image", ("c.jpg", make_image(2))),
    ]
    for path in ("/v1/query", "/v1/embed"):
        problem = client.post(path, files=files).json()
        assert problem["type"] == "/problems/bad-image"
        assert "image 2 of 3 (b.jpg)" in problem["detail"]


def test_a_image_of_several_that_the_model_cannot_embed_is_named(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def embed(self: object, pixels: list[np.ndarray], cameras: list[None]) -> Embedded:
        row = np.eye(48, dtype=np.float32)[0]
        return Embedded([row, EmbeddingFailed("the model cannot embed this image")][: len(pixels)], 0, 0)

    monkeypatch.setattr(type(service_of(client).queries.embedding), "embed", embed)
    files = [("image", ("a.jpg", make_image(1))), ("image", ("b.jpg", make_image(2)))]
    problem = client.post("/v1/query", files=files).json()
    assert problem["type"] == "/problems/embedding-failed"
    assert problem["detail"].startswith("image 2 of 2 (b.jpg): the model")
    assert client.post("/v1/query", files=files[:1]).status_code == 200


def ask_item(client: TestClient, item_id: int, **params: Any) -> Any:
    return client.post(f"/v1/query/{item_id}", params=params)


def test_a_stored_item_asks_without_its_image_and_without_the_model(
    filled: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded = ask(filled, make_image(5), k=9, camera_id="c2").json()["matches"]
    item_id = uploaded[0]["id"]
    monkeypatch.setattr(type(service_of(filled).queries.embedding), "embed", None)
    body = ask_item(filled, item_id, k=9).json()
    assert [match["id"] for match in body["matches"]] == [match["id"] for match in uploaded[1:]]
    assert [match["score"] for match in body["matches"]] == pytest.approx([m["score"] for m in uploaded[1:]], abs=1e-5)
    assert (body["query"]["item_id"], body["query"]["camera_id"]) == (item_id, "c2")
    assert body["query"]["camera_known"] is True
    assert (body["searched"], body["gallery_size"]) == (7, 8)
    others = ask_item(filled, item_id, exclude_same_camera=True).json()
    assert {match["camera_id"] for match in others["matches"]} == {"c1"}


def test_an_item_that_is_not_there_cannot_ask(filled: TestClient) -> None:
    problem = ask_item(filled, 4711)
    assert (problem.status_code, problem.json()["type"]) == (404, "/problems/item-not-found")
    assert ask_item(filled, 0).status_code == 422
    assert ask_item(filled, 1, camera_id="c1").status_code == 422


def test_a_whole_track_asks_and_is_no_candidate(client: TestClient, make_image: Make) -> None:
    labels = [{"track_id": "t1"}] * 3 + [{"track_id": "t2"}] * 2 + [{}]
    files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(6)]
    added = client.post("/v1/items", files=files, data={"metadata": json.dumps(labels)}).json()["results"]
    ids = [result["id"] for result in added]
    mean = embedding(client, *(make_image(seed) for seed in range(3)))
    body = ask_item(client, ids[0], pool="track").json()
    assert {match["id"] for match in body["matches"]} == set(ids[3:])
    assert body["query"]["images"] == 3
    expected = sorted((float(embedding(client, make_image(seed)) @ mean) for seed in (3, 4, 5)), reverse=True)
    assert [match["score"] for match in body["matches"]] == pytest.approx(expected, abs=1e-5)
    alone = ask_item(client, ids[5], pool="track", group_by="track").json()
    assert {(match["group"]["label"], match["group"]["items"]) for match in alone["matches"]} == {("t1", 3), ("t2", 2)}


def test_conditions_are_echoed_as_they_were_given(filled: TestClient, make_image: Make) -> None:
    given: dict[str, Any] = {
        "cameras": ["c1"], "since": "2026-05-01T02:00:00+02:00", "metadata": json.dumps({"gate": 3}), "min_height": 10,
    }  # fmt: skip
    body = ask(filled, make_image(1), **given, camera_id="c2", exclude_same_camera=True).json()
    assert body["query"]["filter"] == {
        "cameras": ["c1"], "since": "2026-05-01T00:00:00Z", "metadata": {"gate": 3}, "min_height": 10,
        "exclude_same_camera": True,
    }  # fmt: skip


def test_reranked_candidates_keep_their_cosines(filled: TestClient, make_image: Make) -> None:
    plain = {match["id"]: match["score"] for match in ask(filled, make_image(3), k=8).json()["matches"]}
    body = ask(filled, make_image(3), k=8, rerank="k-reciprocal", rerank_top=6).json()
    assert {match["id"]: match["score"] for match in body["matches"]} == plain
    distances = [match["rerank_distance"] for match in body["matches"]]
    assert distances[:6] == sorted(distances[:6])
    assert distances[6:] == [None, None]
    assert (body["query"]["rerank"], body["query"]["rerank_top"]) == ("k-reciprocal", 6)


def test_a_body_over_the_cap_is_refused(client: TestClient) -> None:
    def stream() -> Iterator[bytes]:  # without a Content-Length: what arrives is counted
        for _ in range(20):
            yield b"x" * 2**16

    for content in (b"x" * (2**20 + 1), stream()):
        answer = client.post("/v1/query", content=content, headers=JPEG)
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/too-large"
        assert "1,048,576" in answer.json()["detail"]
    assert client.post("/v1/items", files={"images": ("a.jpg", b"x" * 2**20)}).status_code == 413


def test_exactly_the_cap_is_read(client: TestClient) -> None:
    assert client.post("/v1/query", content=b"x" * 2**20, headers=JPEG).status_code == 422
