"""POST /v1/query: good and bad pictures, parameters, bodies."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from bundle import Bundle, BundleRunner, read_image, resize_to_spec

Make = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def filled(client: TestClient, picture: Make) -> TestClient:
    """A gallery of eight pictures of four persons by two cameras."""
    files = [("images", (f"{1 + seed % 4:04d}_c{1 + seed // 4}s1_000001_00.jpg", picture(seed))) for seed in range(8)]
    assert client.post("/v1/items", files=files).status_code == 200
    return client


def ask(client: TestClient, content: bytes, kind: str = "image/jpeg", **params: Any) -> Any:
    return client.post("/v1/query", content=content, headers={"content-type": kind}, params=params)


def test_a_query_finds_its_own_picture_first(filled: TestClient, picture: Make, tiny_bundle: Path) -> None:
    body = ask(filled, picture(5), k=3, camera_id="c2").json()
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
        "height": 64, "width": 32, "camera_id": "c2", "camera_known": True, "k": 3, "min_score": None,
        "gallery": "default",
    }  # fmt: skip
    assert set(body["timings_ms"]) == {"decode", "embed", "search", "total"}
    assert "human decides" in body["note"]


def test_raw_and_form_bodies_give_the_same_candidates(filled: TestClient, picture: Make) -> None:
    raw = ask(filled, picture(3), camera_id="c1").json()["matches"]
    form = filled.post("/v1/query", files={"image": ("a.jpg", picture(3))}, params={"camera_id": "c1"})
    assert form.json()["matches"] == raw


@pytest.mark.parametrize("runtime", ["onnx"], indirect=True)
def test_scores_are_those_of_the_reference_runner(filled: TestClient, picture: Make, tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    runner = BundleRunner(bundle, threads=1)

    def embed(content: bytes, camera: int) -> np.ndarray:
        pixels = resize_to_spec(read_image(content), bundle.manifest.image)[None]
        return runner.run(pixels, np.array([camera]))[0]

    gallery = np.stack([embed(picture(seed), seed // 4) for seed in range(8)])
    for camera_id, camera in (("c1", 0), ("c2", 1), (None, -1), ("never seen", -1)):
        params = {} if camera_id is None else {"camera_id": camera_id}
        body = ask(filled, picture(20), k=8, **params).json()
        expected = np.sort(gallery @ embed(picture(20), camera))[::-1]
        assert [match["score"] for match in body["matches"]] == pytest.approx(expected, abs=1e-5)
        assert body["query"]["camera_known"] is (camera >= 0)


def test_min_score_and_k(filled: TestClient, picture: Make) -> None:
    everything = ask(filled, picture(3), k=10_000).json()["matches"]
    assert len(everything) == 8
    above = everything[2]["score"]
    assert len(ask(filled, picture(3), min_score=above - 1e-5).json()["matches"]) == 3
    assert ask(filled, picture(30), min_score=1).json()["matches"] == []


def test_an_empty_gallery_has_no_candidates(client: TestClient, picture: Make) -> None:
    body = ask(client, picture(1)).json()
    assert (body["matches"], body["gallery_size"]) == ([], 0)


@pytest.mark.parametrize(
    "params",
    ["k=0", "k=10001", "k=x", "min_score=2", "min_score=nan", "camera_id=", "camera_id=%00", "cam=c1", "gallery="],
)
def test_parameters_outside_of_what_is_allowed(client: TestClient, picture: Make, params: str) -> None:
    answer = client.post(f"/v1/query?{params}", content=picture(1), headers=JPEG)
    assert answer.status_code == (404 if params == "gallery=" else 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_unknown_gallery(client: TestClient, picture: Make) -> None:
    problem = ask(client, picture(1), gallery="other").json()
    assert problem["type"] == "/problems/gallery-not-found"
    assert "'other'" in problem["detail"]
    assert problem["instance"] == "/v1/query"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def unusual_pictures() -> Iterator[tuple[str, bytes]]:
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


def bad_pictures() -> Iterator[tuple[str, bytes]]:
    rgb = Image.new("RGB", (32, 64), (200, 40, 90))
    yield "truncated", saved(rgb, "JPEG")[:-80]
    yield "zero-byte", b""
    yield "1x1", saved(rgb.resize((1, 1)), "PNG")
    yield "huge header", png_header(30_000, 30_000)
    yield "text renamed .jpg", b"this is no picture at all\n" * 20
    yield "gif", saved(rgb, "GIF")
    yield "bmp", saved(rgb, "BMP")


@pytest.mark.parametrize(
    ("name", "content"), list(unusual_pictures()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_unusual_pictures_are_answered(client: TestClient, name: str, content: bytes) -> None:
    assert ask(client, content, "image/png").status_code == 200


@pytest.mark.parametrize(
    ("name", "content"), list(bad_pictures()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_pictures_are_named_and_the_next_query_is_answered(
    client: TestClient, picture: Make, name: str, content: bytes
) -> None:
    answer = client.post("/v1/query", files={"image": (f"{name}.jpg", content)})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/bad-image"
    assert f"{name}.jpg" in problem["detail"]
    assert "\n" not in problem["detail"]
    assert ask(client, content).status_code == 422
    assert ask(client, picture(1)).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "image/gif", "application/x-www-form-urlencoded", ""]
)
def test_other_bodies_are_refused_with_what_is_taken(client: TestClient, picture: Make, kind: str) -> None:
    answer = client.post("/v1/query", content=picture(1), headers={"content-type": kind} if kind else {})
    assert answer.status_code == 415
    assert "image/jpeg" in answer.json()["detail"]


def test_forms_without_exactly_one_picture(client: TestClient, picture: Make) -> None:
    file = ("a.jpg", picture(1))
    for form in (
        {"files": [("image", file)] * 2},
        {"files": {"picture": file}},
        {"data": {"image": "x"}, "files": {"y": file}},
    ):
        assert client.post("/v1/query", **form).status_code == 422


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
