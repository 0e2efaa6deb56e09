"""A running application around a tiny real bundle, and images to send to it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig
from vitreid.service.indexes.faiss_calls import load_faiss


@pytest.fixture(scope="session")
def make_image() -> Callable[..., bytes]:
    """Makes the bytes of an image of random cells; the same seed, the same image."""

    def make(seed: int, kind: str = "JPEG", size: tuple[int, int] = (64, 32)) -> bytes:
        cells = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(cells).resize((size[1], size[0]), Image.Resampling.NEAREST).save(out, kind)
        return out.getvalue()

    return make


@pytest.fixture(params=["fake", pytest.param("onnx", marks=pytest.mark.slow)])
def runtime(request: pytest.FixtureRequest) -> str:
    """Every test of a route runs with the fake runtime and with a real one."""
    name: str = request.param
    return name


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path, runtime: str) -> ServiceConfig:
    """Small limits, so that tests reach them."""
    return ServiceConfig(
        data=tmp_path / "data", bundle=tiny_bundle, runtime=runtime, threads=1, max_body_bytes=2**20, max_images=20
    )


@pytest.fixture
def client(config: ServiceConfig) -> Iterator[TestClient]:
    """The started application; what it does not expect becomes a 500, as for a real client."""
    with TestClient(create_app(config), raise_server_exceptions=False) as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def small_reserve() -> Iterator[None]:
    """Make the reserve for a full disk small, since thousands of services are started here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitreid.service.db.reserve.RESERVE_BYTES", 2**14)
        yield


@pytest.fixture(autouse=True)
def gpu_stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes of kind gpu keep their copy on the CPU, but in tests that are marked `gpu`."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr(
            "vitreid.service.indexes.gpu.gpu_copy", lambda dimension: load_faiss().IndexFlatIP(dimension)
        )
