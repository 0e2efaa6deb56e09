"""Export of a checkpoint to a bundle: one ONNX file with a dynamic batch, after a check of parity."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from vitreid.bundle import Bundle, ImageSpec, OutputSpec, Parity
from vitreid.bundle.manifest import check_target
from vitreid.bundle.run import expected_inputs, feed_of
from vitreid.export.closeness import batches, sides_of
from vitreid.export.fast import FastTransformer, fast_form
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.int8 import Feeds
from vitreid.export.precision import convert
from vitreid.export.tolerance import TOLERANCES
from vitreid.export.trial import Trial
from vitreid.export.verify import load_matching_model, measure_parity
from vitreid.export.writing import write_onnx
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.evaluation.embed import RetrievalModel, model_run

OPSET = 23
"""The first one with `Attention`; ATTENTION has others, for runtimes without it."""
ON_IMAGES = Trial()


def export_onnx(
    checkpoint: Checkpoint,
    out: Path,
    images: NDArray[np.uint8],
    *,
    parity_data: str,
    name: str | None = None,
    opset: int = OPSET,
    precision: str = "fp32",
    calibration: NDArray[np.uint8] | None = None,
    trial: Trial = ON_IMAGES,
) -> Bundle:
    """Export a checkpoint to a bundle that passes a trial on `images` (N, H, W, 3): it agrees with torch.

    `parity_data` describes the images in the manifest. `calibration` (M, H, W, 3) are the images for the ranges of
    int8.

    Raises BundleError if `out` holds something else, ExportError for an unsupported opset, PrecisionError for an
    unknown or unsuitable precision, DataError for data that cannot be searched, and ParityError if embeddings or
    searches do not agree; nothing is written then.
    """
    check_target(out)
    graph = EmbeddingGraph(checkpoint.load_model())
    fast = fast_form(graph.model, opset)
    part = checkpoint.config.model
    spec = part.image
    searches = trial.searches(_embedder(checkpoint, graph, spec))
    save = partial(
        Bundle.save,
        name=name or checkpoint.path.resolve().parent.name,
        image=spec,
        output=OutputSpec(dimension=graph.model.dimension, bnneck=part.bnneck),
        cameras=checkpoint.cameras if "camera" in graph.inputs else (),
        views=checkpoint.views if "view" in graph.inputs else (),
    )
    with tempfile.TemporaryDirectory() as folder:
        file, converted = (Path(folder) / name for name in ("fp32.onnx", "model.onnx"))
        write_graph(fast, spec, file, opset)
        draft = save(Path(folder) / "draft", file)
        if precision != "fp32":
            TOLERANCES["fp32"].check(measure_parity(draft, graph, images))
            convert(precision, file, converted, _feeds(draft, calibration))
            draft = save(draft.path, converted, precision=precision)
        parity = trial.parity(draft, graph, images, searches)
        source = _source(checkpoint, parity_data) | {"opset": opset}
        if calibration is not None:
            source |= {"calibration_images": len(calibration)}
        return save(out, draft.model_path, precision=precision, parity=parity, source=source)


def verify_onnx(
    bundle: Bundle, checkpoint: Checkpoint, images: NDArray[np.uint8], trial: Trial = ON_IMAGES
) -> tuple[Parity, ...]:
    """Try a bundle again, against the checkpoint that it was exported from; errors as in `export_onnx`."""
    graph = EmbeddingGraph(load_matching_model(bundle, checkpoint))
    searches = trial.searches(_embedder(checkpoint, graph, bundle.manifest.image))
    return trial.parity(bundle, graph, images, searches)


def _feeds(bundle: Bundle, images: NDArray[np.uint8] | None) -> Feeds:
    """Return images as a bundle's graph takes them, from all cameras and views that it knows."""
    if images is None:
        return ()
    cameras, views = sides_of(bundle.manifest, len(images))
    inputs = expected_inputs(bundle.manifest)
    return [feed_of(inputs, images[rows], cameras[rows], views[rows]) for rows in batches(len(images))]


def _embedder(checkpoint: Checkpoint, graph: EmbeddingGraph, spec: ImageSpec) -> RetrievalModel:
    return RetrievalModel(model_run(graph.model, torch.device("cpu")), spec, checkpoint.cameras, checkpoint.views)


def write_graph(graph: EmbeddingGraph | FastTransformer, spec: ImageSpec, file: Path, opset: int = OPSET) -> None:
    """Write the graph with its weights inside; its inputs by their names, output `embeddings`, any batch size."""
    example = feed_of(graph.inputs, np.zeros((2, spec.height, spec.width, 3), np.uint8))
    inputs = {name: torch.from_numpy(value) for name, value in example.items()}
    write_onnx(graph, inputs, ["embeddings"], file, opset=opset)


def _source(checkpoint: Checkpoint, parity_data: str) -> dict[str, JsonValue]:
    return {
        "backbone": checkpoint.config.model.backbone,
        "epoch": checkpoint.metrics.get("epoch"),
        "scores": dict(checkpoint.metrics.get("scores", {})),
        "data": dict(checkpoint.metrics.get("data", {})),
        "parity_data": parity_data,
    }
