"""Graphs of other precisions: near the first one, and refused where they cannot be made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from vitreid.bundle import ImageSpec
from vitreid.bundle.run import load_graph
from vitreid.export.errors import PrecisionError
from vitreid.export.fast import fast_form
from vitreid.export.images import drawn_images
from vitreid.export.int8 import Feeds
from vitreid.export.precision import MIN_CALIBRATION, PRECISIONS, check_precision, convert
from vitreid.export.to_onnx import write_graph
from vitreid.export.tolerance import TOLERANCES
from vitreid.training.config import TrainConfig
from vitreid.training.model import build_model

SPEC = ImageSpec(height=64, width=32)
SMALL = {"backbone": "vit_tiny_patch16_224", "options": {"embed_dim": 24, "depth": 2, "num_heads": 2}}
NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    "transformer": (SMALL, 23),
    "without Attention": (SMALL | {"stem": "conv", "pool": "mean"}, 18),
    "cameras and parts": (SMALL | {"sie": "camera", "jpm": {}}, 23),
    "convnet": ({"backbone": "resnet18"}, 23),
}
"""The networks, and the opset of their graphs."""


@pytest.fixture(scope="module")
def feeds() -> Feeds:
    cameras = np.arange(MIN_CALIBRATION) % 4 - 1
    images = drawn_images(MIN_CALIBRATION, SPEC)
    return [{"images": images[rows], "camera": cameras[rows]} for rows in (slice(16), slice(16, None))]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """fp32 graphs of networks with random weights."""
    folder = tmp_path_factory.mktemp("graphs")
    for name, (part, opset) in NETWORKS.items():
        torch.manual_seed(0)
        config = TrainConfig.model_validate({"model": {"height": SPEC.height, "width": SPEC.width, **part}})
        model = build_model(config, persons=3, cameras=2, pretrained=False)
        write_graph(fast_form(model, opset), SPEC, folder / f"{name}.onnx", opset)
    return {name: folder / f"{name}.onnx" for name in NETWORKS}


def taken(file: Path, feeds: Feeds) -> Feeds:
    """The graph's inputs of images."""
    inputs = [node.name for node in onnx.load(file).graph.input]
    return [{name: feed[name] for name in inputs} for feed in feeds]


def embed(file: Path, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    return load_graph(file, threads=1).run(["embeddings"], feed)[0]


def operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(file).graph.node]


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PRECISIONS)
def test_every_precision_is_near_the_first(
    graphs: dict[str, Path], feeds: Feeds, tmp_path: Path, network: str, name: str
) -> None:
    seen = taken(graphs[network], feeds)
    calibration = seen if PRECISIONS[name].calibrated else ()
    if (network, name) == ("convnet", "int8"):
        with pytest.raises(PrecisionError, match="no products for int8, only convolutions; take int8-static or fp16"):
            convert(name, graphs[network], tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())
        return
    convert(name, graphs[network], tmp_path / "model.onnx", calibration)
    expected, found = embed(graphs[network], seen[0]), embed(tmp_path / "model.onnx", seen[0])
    assert (expected * found).sum(axis=1).min() >= TOLERANCES[name].min_cosine
    assert (np.abs(expected - found).max() == 0) == (name == "fp32")
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("network", ["transformer", "without Attention"])
def test_only_products_by_weights_are_int8(graphs: dict[str, Path], feeds: Feeds, tmp_path: Path, network: str) -> None:
    graph = onnx.load(graphs[network]).graph
    weights = {tensor.name for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    by_weights = [node for node in products if node.input[1] in weights]
    convert("int8", graphs[network], tmp_path / "dynamic.onnx")
    dynamic = operators(tmp_path / "dynamic.onnx")
    assert dynamic.count("MatMulInteger") == len(by_weights) > 0
    assert dynamic.count("MatMul") + dynamic.count("Gemm") == len(products) - len(by_weights)
    assert "ConvInteger" not in dynamic
    convert("int8-static", graphs[network], tmp_path / "static.onnx", taken(graphs[network], feeds))
    inputs = {node.input[0] for node in by_weights}
    assert operators(tmp_path / "static.onnx").count("QuantizeLinear") == len(inputs)


def test_weights_have_a_scale_per_channel(graphs: dict[str, Path], feeds: Feeds, tmp_path: Path) -> None:
    file = graphs["transformer"]
    for name in ("int8", "int8-static"):
        convert(name, file, tmp_path / "model.onnx", taken(file, feeds) if name == "int8-static" else ())
        tensors = onnx.load(tmp_path / "model.onnx").graph.initializer
        scales = [list(tensor.dims) for tensor in tensors if tensor.name.endswith("_scale")]
        assert [24 * 4] in scales, name


def test_a_static_graph_embeds_a_image_alike_in_any_company(
    graphs: dict[str, Path], feeds: Feeds, tmp_path: Path
) -> None:
    seen = taken(graphs["transformer"], feeds)
    convert("int8-static", graphs["transformer"], tmp_path / "model.onnx", seen)
    together = embed(tmp_path / "model.onnx", seen[0])
    alone = embed(tmp_path / "model.onnx", {"images": seen[0]["images"][:1]})
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)


def test_conversions_tell_nothing(
    graphs: dict[str, Path], feeds: Feeds, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = graphs["transformer"]
    with caplog.at_level(logging.WARNING):
        convert("int8", file, tmp_path / "model.onnx")
        convert("int8-static", file, tmp_path / "model.onnx", taken(file, feeds))
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "images", "told"),
    [
        ("int4", 0, "unknown precision 'int4'; take one of fp32, fp16, int8, int8-static"),
        (
            "int8-static",
            0,
            "at least 32 images such as it will see, not on 0; name a folder of them by",
        ),
        ("int8-static", 31, "not on 31"),
        ("fp16", 64, "fp16 is not calibrated on images; leave --calibration out, or take int8-static"),
    ],
)
def test_what_cannot_be_made(name: str, images: int, told: str) -> None:
    with pytest.raises(PrecisionError, match=told):
        check_precision(name, images)


def test_a_conversion_asks_first(graphs: dict[str, Path], feeds: Feeds, tmp_path: Path) -> None:
    with pytest.raises(PrecisionError, match="not on 16"):
        convert("int8-static", graphs["transformer"], tmp_path / "model.onnx", taken(graphs["transformer"], feeds)[:1])
    assert not list(tmp_path.iterdir())
