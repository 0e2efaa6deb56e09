"""A checkpoint's network as one ONNX file with a dynamic batch, written as a bundle once parity is shown."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bundle import Bundle, ImageSpec, OutputSpec
from export.graph import EmbeddingGraph
from export.verify import check_parity, measure_parity
from training.checkpoint import Checkpoint

OPSET = 18


def export_onnx(
    checkpoint: Checkpoint, out: Path, images: NDArray[np.uint8], *, images_from: str, name: str | None = None
) -> Bundle:
    """Export a checkpoint to a bundle whose embeddings agree with torch's on `images` (N, H, W, 3).

    `images_from` tells in the manifest what the pictures were.

    Raises ParityError, and writes nothing, where they do not agree.
    """
    model = checkpoint.load_model()
    graph = EmbeddingGraph(model)
    part = checkpoint.config.model
    spec = ImageSpec(height=part.height, width=part.width)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_graph(graph, spec, file)
        with torch.inference_mode():
            dimension = int(graph(torch.zeros(2, part.height, part.width, 3, dtype=torch.uint8)).shape[1])
        save = partial(
            Bundle.save,
            model=file,
            name=name or checkpoint.path.resolve().parent.name,
            image=spec,
            output=OutputSpec(dimension=dimension, bnneck=part.bnneck),
        )
        parity = measure_parity(save(Path(folder) / "draft"), graph, images)
        check_parity(parity)
        source = {
            "backbone": part.backbone,
            "epoch": checkpoint.metrics.get("epoch"),
            "scores": dict(checkpoint.metrics.get("scores", {})),
            "data": dict(checkpoint.metrics.get("data", {})),
            "parity_images": images_from,
        }
        return save(out, parity=(parity,), source=source)


def write_graph(graph: EmbeddingGraph, spec: ImageSpec, file: Path) -> None:
    """Write the graph with its weights inside; input `images`, output `embeddings`, any batch size."""
    example = torch.zeros(2, spec.height, spec.width, 3, dtype=torch.uint8)
    with _quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["embeddings"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
        assert program is not None  # only the exporter without dynamo returns nothing
        program.save(str(file), external_data=False)


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
