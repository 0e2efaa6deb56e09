"""Networks with cameras, parts, relative positions and other stems: the service searches with what torch embeds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from vitreid.bundle import Bundle, ImageSpec
from vitreid.export.images import drawn_images
from vitreid.export.to_onnx import export_onnx
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import TrainConfig
from vitreid.training.model import build_model

SPEC = ImageSpec(height=64, width=32)
VIT: dict[str, Any] = {"backbone": "vit_tiny_patch16_224", "options": {"embed_dim": 48, "depth": 2, "num_heads": 2}}
VARIANTS: dict[str, Any] = {
    "cameras and parts": VIT | {"sie": "camera", "jpm": {"parts": 5}, "stride": 12},
    "cameras, views and keys": VIT | {"sie": "both", "relative": "keys", "stem": "ics", "pool": "mean"},
    "bias and a stem of convolutions": VIT | {"relative": "bias", "stem": "conv", "jpm": {}, "bnneck": "after"},
    "convnet": {"backbone": "resnet18"},
}
LEARNED: dict[str, Any] = {"cameras": ["c1", "c2", "c3"], "views": ["front", "rear"]}
MAPPING: dict[str, Any] = {"gate": "c3", "hall": "c1"}
SEEN = ["gate", "hall", "roof", None, "gate", "c2", "hall"]
INDICES = [2, 0, -1, -1, 2, -1, 0]
"""What the model is told of them: a name that the gallery does not map is unknown, also one that was learned."""


def trained(part: dict[str, Any], folder: Path) -> Checkpoint:
    """A checkpoint of a network all of whose weights are random."""
    torch.manual_seed(0)
    config = TrainConfig.model_validate({"model": {"height": SPEC.height, "width": SPEC.width, **part}})
    model = build_model(config, persons=3, cameras=3, views=2, pretrained=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_checkpoint(folder, model, config, {"persons": ["a", "b", "c"], **LEARNED})
    return Checkpoint.open(folder)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


Exported = tuple[Bundle, np.ndarray, np.ndarray]
"""A bundle, images, and what torch makes of them as seen by SEEN."""


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    part, folder = VARIANTS[request.param], tmp_path_factory.mktemp("variant")
    checkpoint = trained(part, folder / "trained")
    images = drawn_images(len(SEEN), SPEC)
    bundle = export_onnx(checkpoint, folder / "bundle", images, parity_data="drawn")
    assert bool(bundle.manifest.cameras) == ("sie" in part)
    told = torch.tensor(INDICES), torch.full((len(SEEN),), -1)
    with torch.inference_mode():
        return bundle, images, checkpoint.load_model().embed(torch.from_numpy(images), *told).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_scores_are_those_of_the_network(tmp_path: Path, exported: Exported, runtime: str) -> None:
    """All images added at once, so in runs of several, and each searched alone."""
    bundle, images, expected = exported
    contents = [png(each) for each in images]
    config = ServiceConfig(data=tmp_path / "data", bundle=bundle.path, runtime=runtime, threads=1)
    with TestClient(create_app(config)) as client:
        if bundle.manifest.cameras:
            assert client.put("/v1/galleries/default/cameras", json={"mapping": MAPPING}).status_code == 200
        added = client.post(
            "/v1/items",
            files=[("images", (f"{place}.png", content)) for place, content in enumerate(contents)],
            data={"metadata": json.dumps([{} if name is None else {"camera_id": name} for name in SEEN])},
        )
        ids = [each["id"] for each in added.json()["results"]]
        for content, name, embedding in zip(contents, SEEN, expected, strict=True):
            asked = {"k": len(SEEN)} | ({} if name is None else {"camera_id": name})
            answer = client.post("/v1/query", content=content, params=asked, headers={"content-type": "image/png"})
            scores = {match["id"]: match["score"] for match in answer.json()["matches"]}
            np.testing.assert_allclose([scores[each] for each in ids], expected @ embedding, atol=1e-4)
