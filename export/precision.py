"""Precisions: conversions of a written fp32 graph.

A new one is a function, a line in PRECISIONS and one in TOLERANCES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitreid.export.errors import PrecisionError
from vitreid.export.int8 import Feeds, write_int8, write_int8_static

if TYPE_CHECKING:
    from onnx import ModelProto

CALIBRATION, MIN_CALIBRATION = 256, 32
"""Number of images from which ranges are taken, and the minimum."""

Convert = Callable[["ModelProto", Path, Feeds], None]
"""Writes a converted fp32 graph to a file; some are calibrated on these images."""


@dataclass(frozen=True)
class Precision:
    """The conversion of a graph, and whether it is calibrated on images."""

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
    """Raise PrecisionError for an unknown precision, for too few calibration images, and for images without use."""
    if name not in PRECISIONS:
        raise PrecisionError(
            f"unknown precision {name!r}; take one of {', '.join(PRECISIONS)} (in bf16, OpenVINO runs fp32 bundles)"
        )
    if PRECISIONS[name].calibrated and calibration < MIN_CALIBRATION:
        raise PrecisionError(
            f"{name} is calibrated on at least {MIN_CALIBRATION} images such as it will see, not on {calibration}; "
            "name a folder of them by --calibration"
        )
    if calibration and not PRECISIONS[name].calibrated:
        raise PrecisionError(f"{name} is not calibrated on images; leave --calibration out, or take {_calibrated()}")


def write_fp32(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Write the graph unchanged."""
    import onnx

    onnx.save(model, out)


def write_fp16(model: ModelProto, out: Path, calibration: Feeds) -> None:
    """Write products, and all between them, in float16: for GPUs."""
    import onnx

    from vitreid.export.half import to_half

    onnx.save(to_half(model), out)


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision(write_fp32),
    "fp16": Precision(write_fp16),
    "int8": Precision(write_int8),
    "int8-static": Precision(write_int8_static, calibrated=True),
}


def _calibrated() -> str:
    return " or ".join(name for name, precision in PRECISIONS.items() if precision.calibrated)
