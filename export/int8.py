"""Products in int8, by onnxruntime's quantisation.

Weights become int8 with a scale per output channel: one scale per matrix costs more accuracy and gains nothing. Their
other factor is uint8. The other way round, onnxruntime's products are slower than in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.run import load_onnxruntime
from vitreid.export.errors import PrecisionError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

PRODUCTS = ["MatMul", "Gemm"]
OF_A_CONVNET = ["Conv", "Add", "MaxPool", "Relu"]

Feeds = Sequence[Mapping[str, NDArray[np.generic]]]
"""Batches of images as a graph takes them, with their cameras and views if it has those inputs."""


def write_int8(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Write products by weights in int8, each with the range of its input; convolutions stay in float32.

    The range is that of a whole batch, so embeddings vary a little with the images beside them. Convolutions would be
    slower than in float32, as onnxruntime has no fast kernel for ranges found while it runs.
    """
    if not _products(model):
        raise PrecisionError("the network has no products for int8, only convolutions; take int8-static or fp16")
    load_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        _prepared(model), out, op_types_to_quantize=PRODUCTS, per_channel=True, weight_type=QuantType.QInt8
    )


def write_int8_static(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Write products by weights in int8 with ranges from images; in a convolutional network, the convolutions.

    Outputs of products stay float32, and so do the few convolutions of a transformer's stem: there int8 costs accuracy
    and gains no time.
    """
    load_onnxruntime()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    products = _products(model)
    quantize_static(
        _prepared(model),
        out,
        _Reader(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=PRODUCTS if products else OF_A_CONVNET,
        nodes_to_quantize=products or None,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": PRODUCTS},
    )


class _Reader:
    """Iterator of calibration images in onnxruntime's interface."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[np.generic]] | None:
        """Return the next batch, or None after the last one."""
        return next(self._feeds, None)


def _products(model: ModelProto) -> list[str]:
    """Return the names of products by weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]


def _prepared(model: ModelProto) -> ModelProto:
    """Prepare the graph for onnxruntime's quantisation.

    It turns every Gemm into a MatMul, transposes a weight that two of them share twice, and leaves shapes of
    intermediate values that no longer hold.
    """
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    _transpose_weights(model.graph)
    del model.graph.value_info[:]
    add_pre_process_metadata(model)  # else it prints advice to fold constants, which the export has done
    return model


def _transpose_weights(graph: GraphProto) -> None:
    """Store transposed weights, so that no Gemm transposes."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    transposed: dict[str, TensorProto] = {}
    for node in graph.node:
        flag = next((each for each in node.attribute if each.name == "transB" and each.i), None)
        if node.op_type != "Gemm" or flag is None or node.input[1] not in weights:
            continue
        name = node.input[1]
        if name not in transposed:
            transposed[name] = numpy_helper.from_array(
                numpy_helper.to_array(weights[name]).T.copy(), f"{name}_transposed"
            )
        node.input[1] = transposed[name].name
        flag.i = 0
    used = {name for node in graph.node for name in node.input}
    tensors = [tensor for tensor in (*weights.values(), *transposed.values()) if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
