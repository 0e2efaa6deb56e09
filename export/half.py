"""A graph whose products and all between them are of 16 bits, for GPUs.

Input, normalisation and all else before the first product stay float32, and so does all after the last one:
a squared norm of wide embeddings can exceed what 16 bits hold, and unit length would be lost to rounding. Between them
layer norms sum in float32 by their definition (`stash_type`), and `Attention` takes its softmax in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

PRODUCTS = {"MatMul", "Gemm", "Conv", "Attention"}
LARGEST = float(np.finfo(np.float16).max)


def to_half(model: ModelProto) -> ModelProto:
    """Convert a graph's products to float16; inputs and outputs stay float32."""
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    floats = _float_values(graph)
    between = _between_products(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    halves: set[str] = set()  # values that are float16 now
    nodes: dict[str, NodeProto] = {}  # by the name of their first output, in the order of the graph

    def needed_as(name: str, half: bool) -> str:
        """Return the name of a float value in the type that a node takes."""
        if name not in floats or (name in halves) == half:
            return name
        other = f"{name}_{'half' if half else 'float'}"
        if name in weights:
            if other not in weights:
                values = numpy_helper.to_array(weights[name]).clip(-LARGEST, LARGEST).astype(np.float16)
                weights[other] = numpy_helper.from_array(values, other)
        elif other not in nodes:
            kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            nodes[other] = helper.make_node("Cast", [name], [other], name=f"cast_{other}", to=kind)
        return other

    for number, node in enumerate(graph.node):
        half = number in between and any(name in floats for name in node.input)
        node.input[:] = [needed_as(name, half) for name in node.input]
        if half:
            halves.update(floats.intersection(node.output))
            if node.op_type == "Attention":
                node.attribute.append(helper.make_attribute("softmax_precision", TensorProto.FLOAT))
        nodes[node.output[0]] = node
    _replace(graph, list(nodes.values()), weights)
    return model


def _between_products(graph: GraphProto) -> set[int]:
    """Return the numbers of products, and of nodes with a product both before and after them."""
    after = _reached(graph.node, forward=True)
    return after & _reached(graph.node, forward=False)


def _reached(nodes: list[NodeProto], *, forward: bool) -> set[int]:
    """Return the numbers of products and of the nodes after them, or before them."""
    values: set[str] = set()
    numbers: set[int] = set()
    for number, node in _walk(nodes, forward=forward):
        near, far = (node.input, node.output) if forward else (node.output, node.input)
        if node.op_type in PRODUCTS or values.intersection(near):
            values.update(far)
            numbers.add(number)
    return numbers


def _walk(nodes: list[NodeProto], *, forward: bool) -> Iterator[tuple[int, NodeProto]]:
    numbers = range(len(nodes))
    return ((number, nodes[number]) for number in (numbers if forward else reversed(numbers)))


def _float_values(graph: GraphProto) -> set[str]:
    """Return the names of all values that are float32."""
    typed = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    typed |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name for name, kind in typed.items() if kind == TensorProto.FLOAT}


def _replace(graph: GraphProto, nodes: list[NodeProto], weights: dict[str, TensorProto]) -> None:
    """Set the nodes of a graph and the weights that they use; types of other values are inferred later."""
    used = {name for node in nodes for name in node.input}
    used_weights = [tensor for name, tensor in weights.items() if name in used]
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for part in (graph.node, graph.initializer, graph.value_info):
        del part[:]
    graph.node.extend(nodes)
    graph.initializer.extend(used_weights)
