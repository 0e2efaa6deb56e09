"""Precisions: what makes another graph of a written fp32 one.

A new one is a function, a line in PRECISIONS and one in TOLERANCES.

Weights become int8 with a scale per output channel: one scale per matrix costs more accuracy and gains nothing. What
they are multiplied with is uint8. The other way round, onnxruntime's products are slower than in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bundle.run import load_onnxruntime
from export.errors import PrecisionError

if TYPE_CHECKING:
    from onnx import ModelProto

PRODUCTS = ["MatMul", "Gemm"]
OF_A_CONVNET = ["Conv", "Add", "MaxPool", "Relu"]
CALIBRATION, MIN_CALIBRATION = 256, 32
"""How many pictures ranges are taken from, and with how few they would be too narrow."""

Feeds = Sequence[Mapping[str, NDArray[np.generic]]]
"""Batches of pictures as a graph takes them, with their cameras and views where it asks for those."""
Convert = Callable[["ModelProto", Path, Feeds], None]
"""Writes another graph of an fp32 one to a file, where it is calibrated by what these pictures do in it."""


@dataclass(frozen=True)
class Precision:
    """How a graph is made, and whether it looks at pictures for that."""

    write: Convert
    calibrated: bool = False


def convert(name: str, model: Path, out: Path, calibration: Feeds = ()) -> None:
    """Write the graph of this precision of an fp32 graph.

    Raises PrecisionError as check_precision does, and for a graph that has nothing to convert.
    """
    import onnx

    check_precision(name, sum(len(feed["images"]) for feed in calibration))
    PRECISIONS[name].write(onnx.load(model), out, calibration)


def check_precision(name: str, calibration: int) -> None:
    """Raises PrecisionError for an unknown precision and for too few calibration pictures, or some that it ignores."""
    if name not in PRECISIONS:
        raise PrecisionError(
            f"there is no precision {name!r}; take one of {', '.join(PRECISIONS)} (in bf16, OpenVINO runs fp32 bundles)"
        )
    if PRECISIONS[name].calibrated and calibration < MIN_CALIBRATION:
        raise PrecisionError(
            f"{name} is calibrated on at least {MIN_CALIBRATION} pictures such as it will see, not on {calibration}; "
            "name a folder of them by --calibration"
        )
    if calibration and not PRECISIONS[name].calibrated:
        raise PrecisionError(f"{name} is not calibrated on pictures; leave --calibration out, or take {_calibrated()}")


def write_fp32(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """The graph as it is."""
    import onnx

    onnx.save(model, out)


def write_fp16(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Products, and all between them, in float16: for GPUs."""
    import onnx

    from export.half import to_half

    onnx.save(to_half(model), out)


def write_int8(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Products by weights in int8, each with the range of what it is given; convolutions stay in float32.

    The range is that of a whole batch, so embeddings vary a little with the pictures beside them. Convolutions would be
    slower than in float32, as onnxruntime has no fast kernel for ranges found while it runs.
    """
    if not _products(model):
        raise PrecisionError(f"the network has no products for int8, only convolutions; take {_calibrated()} or fp16")
    load_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        _prepared(model), out, op_types_to_quantize=PRODUCTS, per_channel=True, weight_type=QuantType.QInt8
    )


def write_int8_static(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Products by weights in int8 with ranges seen on pictures; of a network of convolutions, these.

    What products give stays float32, and so do the few convolutions of a transformer's stem: there int8 costs accuracy
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


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision(write_fp32),
    "fp16": Precision(write_fp16),
    "int8": Precision(write_int8),
    "int8-static": Precision(write_int8_static, calibrated=True),
}


class _Reader:
    """Gives calibration pictures as onnxruntime asks for them."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[np.generic]] | None:
        """The next batch, or None after the last one."""
        return next(self._feeds, None)


def _products(model: ModelProto) -> list[str]:
    """Names of the products by weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]


def _prepared(model: ModelProto) -> ModelProto:
    """The graph without the shapes of values in between, which onnxruntime contradicts where it splits a Gemm."""
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    del model.graph.value_info[:]
    add_pre_process_metadata(model)  # it would ask on the terminal for what the export has done: fold constants
    return model


def _calibrated() -> str:
    return " or ".join(name for name, precision in PRECISIONS.items() if precision.calibrated)
