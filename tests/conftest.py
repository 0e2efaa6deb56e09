"""What all tests share: the real data where it is there, and a tiny real bundle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bundle import Bundle, ImageSpec, OutputSpec

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and published numbers beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder with real data, ../shared, is not there")
    return SHARED


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a 64x32 model that embeds the colours of 8x4 cells into 48 numbers; it knows two cameras."""
    folder = tmp_path_factory.mktemp("bundles")
    save_tiny_model(folder / "model.onnx")
    Bundle.save(
        folder / "tiny",
        folder / "model.onnx",
        name="tiny",
        image=ImageSpec(height=64, width=32),
        output=OutputSpec(dimension=48),
        cameras=("c1", "c2"),
    )
    return folder / "tiny"


def save_tiny_model(path: Path, *, seed: int = 0, dimension: int = 48) -> None:
    """Write the graph of `tiny_bundle`: cast, mean colour of each cell, a random projection, unit length."""
    from onnx import TensorProto, helper, numpy_helper, save

    random = np.random.default_rng(seed)
    weights = {
        "projection": random.standard_normal((96, dimension)).astype(np.float32) / 255,
        "table": random.standard_normal((3, dimension)).astype(np.float32) / 50,
        "cells": np.array([-1, 96], dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "half": np.array(127.5, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "half"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["pooled", "cells"], ["flat"]),
        helper.make_node("MatMul", ["flat", "projection"], ["projected"]),
        helper.make_node("Add", ["camera", "one"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["shift"]),
        helper.make_node("Add", ["projected", "shift"], ["shifted"]),
        helper.make_node("LpNormalization", ["shifted"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 64, 32, 3]),
            helper.make_tensor_value_info("camera", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", dimension])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
