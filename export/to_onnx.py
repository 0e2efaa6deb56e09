"""A checkpoint's network as one ONNX file with a dynamic batch, written as a bundle once parity is shown."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from bundle import Bundle, ImageSpec, OutputSpec
from bundle.run import feed_of
from export.graph import EmbeddingGraph
from export.verify import check_parity, measure_parity
from export.writing import write_onnx
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
        save = partial(
            Bundle.save,
            model=file,
            name=name or checkpoint.path.resolve().parent.name,
            image=spec,
            output=OutputSpec(dimension=model.dimension, bnneck=part.bnneck),
            cameras=checkpoint.cameras if "camera" in graph.inputs else (),
            views=checkpoint.views if "view" in graph.inputs else (),
        )
        parity = measure_parity(save(Path(folder) / "draft"), graph, images)
        check_parity(parity)
        return save(out, parity=(parity,), source=_source(checkpoint, images_from))


def write_graph(graph: EmbeddingGraph, spec: ImageSpec, file: Path) -> None:
    """Write the graph with its weights inside; its inputs by their names, output `embeddings`, any batch size."""
    example = feed_of(graph.inputs, np.zeros((2, spec.height, spec.width, 3), np.uint8))
    inputs = {name: torch.from_numpy(value) for name, value in example.items()}
    write_onnx(graph, inputs, ["embeddings"], file, opset=OPSET)


def _source(checkpoint: Checkpoint, images_from: str) -> dict[str, JsonValue]:
    return {
        "backbone": checkpoint.config.model.backbone,
        "epoch": checkpoint.metrics.get("epoch"),
        "scores": dict(checkpoint.metrics.get("scores", {})),
        "data": dict(checkpoint.metrics.get("data", {})),
        "parity_images": images_from,
    }
