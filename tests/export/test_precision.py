"""Graphs of other precisions: near the first one, and refused where they cannot be made."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bundle import ImageSpec
from bundle.run import load_graph
from export.errors import PrecisionError
from export.graph import EmbeddingGraph
from export.pictures import drawn_pictures
from export.precision import MIN_CALIBRATION, PRECISIONS, Feeds, check_precision, convert
from export.to_onnx import write_graph
from export.tolerance import TOLERANCES
from training.checkpoint import build_model
from training.config import parse_config

SPEC = ImageSpec(height=64, width=32)
PIXELS = "height = 64\nwidth = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n"
SMALL = 'backbone = "vit_tiny_patch16_224"\noptions = { embed_dim = 24, depth = 2, num_heads = 2 }\n'
NETWORKS = {"transformer": SMALL, "stem": SMALL + 'stem = "conv"\n', "convnet": 'backbone = "resnet18"\n'}


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return drawn_pictures(MIN_CALIBRATION, SPEC)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """fp32 graphs of networks with random weights."""
    folder = tmp_path_factory.mktemp("graphs")
    for name, text in NETWORKS.items():
        torch.manual_seed(0)
        model = build_model(parse_config(f"[model]\n{text}{PIXELS}", (), "test"), persons=3)
        write_graph(EmbeddingGraph(model), SPEC, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in NETWORKS}


@pytest.fixture(scope="module")
def calibration(pictures: np.ndarray) -> Feeds:
    return [{"images": pictures[:16]}, {"images": pictures[16:]}]


def embed(file: Path, images: np.ndarray) -> np.ndarray:
    return load_graph(file, threads=1).run(["embeddings"], {"images": images})[0]


def operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(file).graph.node]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PRECISIONS)
def test_every_precision_is_near_the_first(
    graphs: dict[str, Path], pictures: np.ndarray, calibration: Feeds, tmp_path: Path, network: str, name: str
) -> None:
    if (network, name) == ("convnet", "int8"):
        with pytest.raises(PrecisionError, match="no products for int8, only convolutions; take int8-static or fp16"):
            convert(name, graphs[network], tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())
        return
    convert(name, graphs[network], tmp_path / "model.onnx", calibration if PRECISIONS[name].calibrated else ())
    expected, found = embed(graphs[network], pictures[:7]), embed(tmp_path / "model.onnx", pictures[:7])
    assert (expected * found).sum(axis=1).min() >= TOLERANCES[name].min_cosine
    assert (np.abs(expected - found).max() == 0) == (name == "fp32")
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_only_products_by_weights_are_int8(graphs: dict[str, Path], calibration: Feeds, tmp_path: Path) -> None:
    products = sum(operator in ("MatMul", "Gemm") for operator in operators(graphs["stem"]))
    convert("int8", graphs["stem"], tmp_path / "dynamic.onnx")
    dynamic = operators(tmp_path / "dynamic.onnx")
    assert dynamic.count("MatMulInteger") == 8  # four in each of two blocks
    assert dynamic.count("MatMul") + dynamic.count("Gemm") <= products - 8
    assert "ConvInteger" not in dynamic
    convert("int8-static", graphs["stem"], tmp_path / "static.onnx", calibration)
    assert operators(tmp_path / "static.onnx").count("QuantizeLinear") == 8


def test_weights_have_a_scale_per_channel(graphs: dict[str, Path], calibration: Feeds, tmp_path: Path) -> None:
    for name in ("int8", "int8-static"):
        convert(name, graphs["transformer"], tmp_path / "model.onnx", calibration if name == "int8-static" else ())
        tensors = onnx.load(tmp_path / "model.onnx").graph.initializer
        scales = [list(tensor.dims) for tensor in tensors if tensor.name.endswith("_scale")]
        assert [24 * 4] in scales, name


def test_a_static_graph_embeds_a_picture_alike_in_any_company(
    graphs: dict[str, Path], pictures: np.ndarray, calibration: Feeds, tmp_path: Path
) -> None:
    convert("int8-static", graphs["transformer"], tmp_path / "model.onnx", calibration)
    together = embed(tmp_path / "model.onnx", pictures[:5])
    np.testing.assert_allclose(together[:1], embed(tmp_path / "model.onnx", pictures[:1]), atol=1e-6)


def test_conversions_tell_nothing(
    graphs: dict[str, Path], calibration: Feeds, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        convert("int8", graphs["transformer"], tmp_path / "model.onnx")
        convert("int8-static", graphs["transformer"], tmp_path / "model.onnx", calibration)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "pictures", "told"),
    [
        ("int4", 0, "no precision 'int4'; take one of fp32, fp16, int8, int8-static"),
        (
            "int8-static",
            0,
            "at least 32 pictures such as it will see, not on 0; name a folder of them by",
        ),
        ("int8-static", 31, "not on 31"),
        ("fp16", 64, "fp16 is not calibrated on pictures; leave --calibration out, or take int8-static"),
    ],
)
def test_what_cannot_be_made(name: str, pictures: int, told: str) -> None:
    with pytest.raises(PrecisionError, match=told):
        check_precision(name, pictures)


def test_a_conversion_asks_first(graphs: dict[str, Path], calibration: Feeds, tmp_path: Path) -> None:
    with pytest.raises(PrecisionError, match="not on 16"):
        convert("int8-static", graphs["transformer"], tmp_path / "model.onnx", calibration[:1])
    assert not list(tmp_path.iterdir())
