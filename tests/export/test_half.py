"""A graph in float16: what is of 16 bits, and what stays float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vitreid.bundle.run import load_graph
from vitreid.export.half import to_half

WIDE = 64


def graph(nodes: list[onnx.NodeProto], **weights: np.ndarray) -> onnx.ModelProto:
    """`x` float32 (batch, 64) to `y` of the same size."""
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDE])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model: onnx.ModelProto, folder: Path, x: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    return load_graph(folder / "model.onnx", threads=1).run(["y"], {"x": x})[0]


def types(model: onnx.ModelProto) -> dict[str, int]:
    model = onnx.shape_inference.infer_shapes(model)
    named = (*model.graph.value_info, *model.graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in named}


@pytest.fixture
def network() -> onnx.ModelProto:
    """Shift, product, relu, product, unit length; the last two share a value with the residual sum."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["shifted"]),
        helper.make_node("MatMul", ["shifted", "first"], ["one"]),
        helper.make_node("Relu", ["one"], ["positive"]),
        helper.make_node("Add", ["positive", "bias"], ["biased"]),
        helper.make_node("Gemm", ["biased", "second", "bias"], ["two"]),
        helper.make_node("Add", ["two", "biased"], ["sum"]),
        helper.make_node("LpNormalization", ["sum"], ["y"], axis=1, p=2),
    ]
    weights = {name: random.standard_normal((WIDE, WIDE)) / 8 for name in ("first", "second")}
    return graph(nodes, mean=random.standard_normal(WIDE), bias=random.standard_normal(WIDE), **weights)


def test_products_and_what_lies_between_them_are_half(network: onnx.ModelProto, tmp_path: Path) -> None:
    half = to_half(network)
    kinds = types(half)
    assert {kinds[name] for name in ("one", "positive", "biased", "two")} == {TensorProto.FLOAT16}
    assert {kinds[name] for name in ("shifted", "sum", "y")} == {TensorProto.FLOAT}
    weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert weights == {
        "mean": TensorProto.FLOAT,
        "first_half": TensorProto.FLOAT16,
        "bias_half": TensorProto.FLOAT16,
        "second_half": TensorProto.FLOAT16,
    }
    assert len({node.name for node in half.graph.node if node.op_type == "Cast"}) == 3  # into, and two out


def test_it_computes_the_same(network: onnx.ModelProto, tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((5, WIDE)).astype(np.float32)
    expected, found = run(network, tmp_path, x), run(to_half(network), tmp_path, x)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 2e-3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_norm_beyond_16_bits(tmp_path: Path) -> None:
    """The squares of 64 values of 100 add up to 640,000; float16 ends at 65,504."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["wide"]),
        helper.make_node("LpNormalization", ["wide"], ["y"], axis=1, p=2),
    ]
    half = to_half(graph(nodes, weight=np.eye(WIDE) * 100))
    np.testing.assert_allclose(run(half, tmp_path, np.ones((1, WIDE), np.float32)), WIDE**-0.5, rtol=1e-6)


def test_weights_beyond_16_bits_stay_finite(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["wide"]),
        helper.make_node("LpNormalization", ["wide"], ["y"], axis=1, p=2),
    ]
    half = to_half(graph(nodes, weight=np.eye(WIDE) * 1e6))
    assert numpy_helper.to_array(half.graph.initializer[0]).max() == 65504


def test_the_softmax_of_attention_is_in_float() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weight"], ["mixed"]),
        helper.make_node("Attention", ["mixed", "mixed", "mixed"], ["seen"], q_num_heads=2, kv_num_heads=2),
        helper.make_node("Squeeze", ["seen", "axis"], ["y"]),
    ]
    model = graph(nodes, weight=np.eye(WIDE))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    model.opset_import[0].version = 23
    attention = next(node for node in to_half(model).graph.node if node.op_type == "Attention")
    assert {each.name: each.i for each in attention.attribute}["softmax_precision"] == TensorProto.FLOAT
