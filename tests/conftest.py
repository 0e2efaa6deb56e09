"""Fixtures of all tests: real images where the environment names some, and tiny bundles."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.paths import REPOSITORY, optional_folder
from vitreid.bundle import Bundle, ImageSpec, OutputSpec, PatchSpec
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.service.api.logs import FORMATS

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["VITREID_ALLOWED_HOSTS"] = "testserver"  # what a TestClient calls the service


SLOW_FOLDERS = tuple(REPOSITORY / "tests" / folder for folder in ("benchmarks", "service/crash", "service/web"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of the slow folders as slow."""
    for item in items:
        if any(folder in item.path.parents for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def log_goes_with_the_test() -> Iterator[None]:
    """A log that a command set up in this process writes to streams that end with the test, and ends with it."""
    yield
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each.formatter, tuple(FORMATS.values()))]:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def real_people() -> Path:
    """A data set of photographs in the layout of Market-1501."""
    return optional_folder("PEOPLE_FIXTURES")


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


@pytest.fixture(scope="session")
def explained_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_bundle` with an explain.onnx: patches are the colours of its 8x4 cells, the brightest count most."""
    folder = tmp_path_factory.mktemp("explained")
    shutil.copytree(tiny_bundle, folder / "bundle")
    save_tiny_evidence(folder / EXPLAIN)
    spec = PatchSpec(
        rows=8,
        columns=4,
        patch_size=(8, 8),
        stride=(8, 8),
        dimension=3,
        attention="cls",
        parity_images=1,
        max_abs_difference=0.0,
    )
    Bundle.open(folder / "bundle").extend({EXPLAIN: folder / EXPLAIN}, explain=spec)
    return folder / "bundle"


def save_tiny_model(path: Path, *, seed: int = 0, dimension: int = 48) -> None:
    """Write the graph of `tiny_bundle`: cast, mean colour of each cell, a random projection, unit length."""
    from onnx import TensorProto, helper, numpy_helper, save

    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {
        "projection": random.standard_normal((96, dimension)).astype(np.float32) / 255,
        "table": random.standard_normal((3, dimension)).astype(np.float32) / 50,
        "cells": np.array([-1, 96], dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "last": np.array(2, dtype=np.int64),
        "unknown": np.array(0, dtype=np.int64),
        "half": np.array(127.5, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "half"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["pooled", "cells"], ["flat"]),
        helper.make_node("MatMul", ["flat", "projection"], ["projected"]),
        helper.make_node("Add", ["camera", "one"], ["next"]),
        helper.make_node("Greater", ["next", "last"], ["beyond"]),
        helper.make_node("Where", ["beyond", "unknown", "next"], ["row"]),
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


def save_tiny_evidence(path: Path) -> None:
    """Write the graph of `explained_bundle`: the mean colour of each cell less grey, unit length, and brightness."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights: dict[str, np.ndarray] = {
        "cells": np.array([0, 3, 32], dtype=np.int64),
        "half": np.array(127.4, dtype=np.float32),
        "unknown": np.array([-1], dtype=np.int64),
        "shift": np.array([3.0, 0.0, 0.0], dtype=np.float32),
        "axis": np.array([2], dtype=np.int64),
        "row": np.array([1], dtype=np.int64),
        "columns": np.array([1, 2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["pooled", "cells"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["colours"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["colours", "axis"], ["brightness"], keepdims=0),
        helper.make_node("ReduceSum", ["brightness", "row"], ["total"], keepdims=1),
        helper.make_node("Div", ["brightness", "total"], ["attention"]),
        # A learned camera shifts the colours, so that it matters which one is told.
        helper.make_node("Equal", ["camera", "unknown"], ["is_unknown"]),
        helper.make_node("Not", ["is_unknown"], ["is_known"]),
        helper.make_node("Cast", ["is_known"], ["known"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["known", "columns"], ["by_row"]),
        helper.make_node("Mul", ["by_row", "shift"], ["shifts"]),
        helper.make_node("Sub", ["colours", "half"], ["centred"]),
        helper.make_node("Add", ["centred", "shifts"], ["shifted"]),
        helper.make_node("LpNormalization", ["shifted"], ["patches"], axis=2, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "spec",
        [
            helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 64, 32, 3]),
            helper.make_tensor_value_info("camera", TensorProto.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["batch", 32, 3]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["batch", 32]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
