"""Rules of every route: problems, headers, readiness, and the promises of the API description."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.paths import REPOSITORY
from vitreid.bundle import Bundle, BundleError
from vitreid.service.api.app import create_app
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.errors import GalleryError
from vitreid.service.gallery.errors import BundleMismatch, GalleryDamaged
from vitreid.service.gallery.gallery import Gallery

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


def test_info_says_what_is_running(client: TestClient, tiny_bundle: Path, make_image: Make) -> None:
    files = [("images", (f"0001_c{camera}s1_000001_00.jpg", make_image(camera))) for camera in (1, 2)]
    client.post("/v1/items", files=files)
    info = client.get("/v1/info").json()
    manifest = Bundle.open(tiny_bundle).manifest
    assert info["name"] == "vitreid"
    assert info["bundle"] == {
        "id": manifest.bundle_id, "name": "tiny", "image_height": 64, "image_width": 32, "dimension": 48,
        "cameras": ["c1", "c2"], "starter": False, "calibration": None, "explains": False,
    }  # fmt: skip
    gallery = info["gallery"]
    assert {key: gallery[key] for key in ("name", "size", "persons", "cameras", "generation", "snapshot_lag")} == {
        "name": "default", "size": 2, "persons": 1, "cameras": {"c1": 1, "c2": 1}, "generation": 1, "snapshot_lag": 2
    }  # fmt: skip
    assert gallery["index"]
    assert gallery["index_reason"]
    assert info["batching"] == {"max_batch": 4, "max_queue": 256, "waiting": 0}
    assert info["limits"]["images"] == 20
    assert info["drift"] == []
    assert info["runtime"] == {"name": "fake", "provider": "cpu", "precision": "fp32", "threads": 1}
    assert info["uptime_s"] >= 0


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_not_ready_when_search_fails(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(Gallery, "search", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/not-ready"
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.text
    assert client.get("/healthz").status_code == 200


def test_not_ready_before_the_parts_are_open(config: ServiceConfig, make_image: Make) -> None:
    client = TestClient(create_app(config))  # without starting it
    assert client.get("/healthz").status_code == 200
    for answer in (client.get("/readyz"), client.post("/v1/query", content=make_image(1), headers=JPEG)):
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")


def test_parts_opened_elsewhere_are_used_and_left_open(config: ServiceConfig) -> None:
    with open_service(config) as service:
        with TestClient(create_app(config, service)) as client:
            assert client.get("/readyz").status_code == 200
        assert len(service.gallery()) == 0


def test_an_unexpected_error_reveals_nothing_internal(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(Gallery, "search", broken)
    answer = client.post("/v1/query", content=make_image(1), headers={**JPEG, "x-request-id": "mine"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


@pytest.mark.parametrize(
    ("error", "status"), [(GalleryDamaged("/secret/gallery.db is damaged"), 503), (BundleError("/secret/model"), 503)]
)
def test_errors_of_the_parts_name_no_folders(
    client: TestClient, make_image: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Gallery, "search", broken)
    answer = client.post("/v1/query", content=make_image(1), headers=JPEG)
    assert answer.status_code == status
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/v1/", "/v1/items/1/other", "/web/app.py", "/web/..%2Fapp.py"])
def test_unknown_paths(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/query", "POST"),
        ("PUT", "/v1/items", "GET, HEAD, POST"),
        ("POST", "/v1/items/1", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ],
)
def test_other_methods_get_the_allowed_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/info", "/nothing", "/v1/items?limit=0"])
def test_every_answer_has_its_id_and_the_security_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert len(answer.headers["x-request-id"]) == 32
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


def test_a_request_id_is_kept_only_when_it_is_harmless(client: TestClient) -> None:
    assert client.get("/healthz", headers={"x-request-id": "trace-1.a"}).headers["x-request-id"] == "trace-1.a"
    for given in ("x" * 65, "a b", "<b>"):
        assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] != given


def test_every_operation_is_described(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    tags = {tag["name"] for tag in description["tags"]}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert set(operation["tags"]) <= tags, where
            assert "HTTPValidationError" not in str(operation), where
    assert "Problem" in description["components"]["schemas"]


def test_every_route_speaks_of_similarity_and_not_of_identity(client: TestClient) -> None:
    text = (client.get("/openapi.json").text + client.get("/").text).lower()
    for claim in ("same person as", "identified", "match found", "is the person"):
        assert claim not in text
    assert "a human decides" in text


def test_the_pages_load_nothing_from_elsewhere() -> None:
    for file in (REPOSITORY / "service" / "web").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file
        assert "https://" not in text, file
        assert "innerHTML" not in text, file
        assert "style=" not in text, file


def test_a_gallery_of_another_model_stops_the_start(config: ServiceConfig) -> None:
    with Gallery.open(gallery_folder(config.data), bundle_id="0" * 64, dimension=48):
        pass
    with pytest.raises(BundleMismatch), TestClient(create_app(config)):
        pass


def test_a_damaged_database_stops_the_start(config: ServiceConfig) -> None:
    with Gallery.open(gallery_folder(config.data), bundle_id="0" * 64, dimension=48):
        pass
    for file in gallery_folder(config.data).glob("gallery.db*"):
        file.write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryError) as caught, TestClient(create_app(config)):
        pass
    assert "\n" not in str(caught.value)


def imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_module_of_the_service_imports_training() -> None:
    for file in (REPOSITORY / "service").rglob("*.py"):
        found = {name.partition(".")[0] for name in imported_by(file)} & {"torch", "timm", "training", "export"}
        assert not found, f"{file} imports {found}"
