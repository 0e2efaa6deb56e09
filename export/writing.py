"""Writing of a torch module as one ONNX file: weights inside, batch of any size."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from onnxscript import ir
from torch import Tensor, nn


def write_onnx(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], file: Path, *, opset: int
) -> None:
    """Write a module, traced on examples of its inputs by name; the first axis of all of them is the batch.

    Equal weights are written once, and no traces of source code.
    """
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            module,
            kwargs=dict(inputs),
            dynamo=True,
            opset_version=opset,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={name: {0: batch} for name in inputs},
            verbose=False,
        )
    assert program is not None  # only the exporter without dynamo returns nothing
    model = program.model
    ir.passes.common.DeduplicateInitializersPass(size_limit=2**31)(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    ir.save(model, file)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes about its own future."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
