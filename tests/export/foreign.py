"""Tiny models such as others export: every kind of input, output and batch axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, DIMENSION = 16, 8, 6


def save_foreign(
    path: Path,
    *,
    layout: str = "NCHW",
    dtype: int = TensorProto.FLOAT,
    batch: int | str = "n",
    size: tuple[int | str, int | str] = (HEIGHT, WIDTH),
    axes: tuple[int | str, ...] | None = None,
    tail: str = "rows",
    opset: int = 17,
    ir_version: int = 8,
    weights_as_inputs: bool = False,
    **more: Any,
) -> Path:
    """Write a graph of cast and transpose where type and layout need them, convolution, ReLU and one of TAILS."""
    random = np.random.default_rng(0)
    kind = np.float16 if dtype == TensorProto.FLOAT16 else np.float32
    arrays = {"kernel": random.standard_normal((4, 3, 3, 3)) / 3, "matrix": random.standard_normal((128, DIMENSION))}
    values = {name: array.astype(kind) for name, array in arrays.items()}
    values |= {"shape": np.array([batch if isinstance(batch, int) else -1, 128])}
    values |= {
        "token": np.full((1, 1, 4), 0.5, kind),
        "tokens": np.array([batch if isinstance(batch, int) else -1, 4, 32]),
    }
    values |= {"little": np.full(1, 1e-4, kind), "less": np.full(1, 5e-7, kind), "one": np.ones(1, kind)}
    values |= {"sequence": np.array([32, 4]), "image": np.array([1, 4])}
    nodes = []
    taken = "images"
    if dtype == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", [taken], ["floats"], to=TensorProto.FLOAT))
        taken = "floats"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [taken], ["planes"], perm=[0, 3, 1, 2]))
        taken = "planes"
    nodes += [
        helper.make_node("Conv", [taken, "kernel"], ["convolved"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        *TAILS[tail],
    ]
    used = {name for node in nodes for name in node.input}
    default = (batch, 3, *size) if layout == "NCHW" else (batch, *size, 3)
    inputs = [helper.make_tensor_value_info("images", dtype, default if axes is None else axes)]
    weights = [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]
    if weights_as_inputs:
        inputs += [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights]
    given = TensorProto.FLOAT16 if dtype == TensorProto.FLOAT16 else TensorProto.FLOAT
    names = [name for node in nodes for name in node.output if name.startswith("out")]
    outputs = [helper.make_tensor_value_info(name, given, None) for name in names]
    graph = helper.make_graph(nodes, "foreign", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    onnx.save(model, path, **more)
    return path


def _rows(name: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Reshape", ["positive", "shape"], [f"flat_{name}"]),
        helper.make_node("MatMul", [f"flat_{name}", "matrix"], [name]),
    ]


TAILS: dict[str, list[onnx.NodeProto]] = {
    "rows": _rows("out"),
    "pooled": [helper.make_node("GlobalAveragePool", ["positive"], ["out"])],
    "token": [
        helper.make_node("Reshape", ["positive", "tokens"], ["columns"], allowzero=1),
        helper.make_node("Transpose", ["columns"], ["cells"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["token", "cells"], ["sequence_of_tokens"], axis=1),
        helper.make_node("ReduceMax", ["sequence_of_tokens"], ["out"], axes=[1], keepdims=0),
    ],
    "one image only": [
        helper.make_node("Reshape", ["positive", "tokens"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["cells"], perm=[2, 0, 1]),
        helper.make_node("Reshape", ["cells", "sequence"], ["rows"]),
        helper.make_node("ReduceMax", ["rows"], ["largest"], axes=[0], keepdims=0),
        helper.make_node("Reshape", ["largest", "image"], ["out"]),
    ],
    "map": [helper.make_node("Identity", ["positive"], ["out"])],
    "two": [*_rows("out_a"), helper.make_node("Neg", ["out_a"], ["out_b"])],
    "nan": [*_rows("rows"), helper.make_node("Sqrt", ["rows"], ["out"])],
    "zeros": [*_rows("rows"), helper.make_node("Sub", ["rows", "rows"], ["out"])],
    "same": [
        *_rows("rows"),
        helper.make_node("Sub", ["rows", "rows"], ["nothing"]),
        helper.make_node("Exp", ["nothing"], ["out"]),
    ],
    "unknown": [helper.make_node("Sharpen", ["positive"], ["out"], domain="com.example")],
    "of the batch": [
        *_rows("rows"),
        helper.make_node("ReduceMax", ["rows"], ["largest"], axes=[0], keepdims=1),
        helper.make_node("Add", ["rows", "largest"], ["out"]),
    ],
    "alike, of the batch": [
        *_rows("rows"),
        helper.make_node("ReduceMax", ["rows"], ["largest"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["rows", "little"], ["own"]),
        helper.make_node("Mul", ["largest", "less"], ["company"]),
        helper.make_node("Add", ["own", "company"], ["both"]),
        helper.make_node("Add", ["both", "one"], ["out"]),
    ],
    "no batch": [*_rows("rows"), helper.make_node("ReduceSum", ["rows"], ["out"], keepdims=0)],
}
