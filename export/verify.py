"""Parity of a bundle and its checkpoint: embeddings of the same images, compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vitreid.bundle import Bundle, Parity
from vitreid.export.closeness import batches, compare, sides_of
from vitreid.export.errors import ParityError
from vitreid.export.graph import EmbeddingGraph, inputs_of
from vitreid.export.parity_runtimes import REFERENCE, ParityRuntime
from vitreid.export.tolerance import TOLERANCES
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.model import ReIDModel

MAX_ABS_DIFFERENCE = TOLERANCES["fp32"].max_abs_difference


def measure_parity(
    bundle: Bundle, graph: EmbeddingGraph, images: NDArray[np.uint8], runtime: ParityRuntime = REFERENCE
) -> Parity:
    """Embed `images` (N, H, W, 3) with both, in batches of several sizes, and measure the difference.

    Their cameras and views run through all that the bundle knows, and some that it does not.
    """
    runner = runtime.open(bundle)
    cameras, views = sides_of(bundle.manifest, len(images))
    found: list[NDArray[np.float32]] = []
    expected: list[NDArray[np.float32]] = []
    for rows in batches(len(images)):
        seen = images[rows], cameras[rows], views[rows]
        found.append(runner.run(*seen))
        with torch.inference_mode():
            expected.append(graph(*map(torch.from_numpy, seen)).numpy())
    return compare(np.concatenate(found), np.concatenate(expected), runtime.precision(bundle), runtime=runtime.name())


def load_matching_model(bundle: Bundle, checkpoint: Checkpoint) -> ReIDModel:
    """Load the checkpoint's model, from which the bundle may have been exported.

    Raises ParityError if images, cameras, views or the length of embeddings differ.
    """
    model, manifest, config = checkpoint.load_model(), bundle.manifest, checkpoint.config.model
    inputs = inputs_of(model)
    cameras = checkpoint.cameras if "camera" in inputs else ()
    views = checkpoint.views if "view" in inputs else ()
    values = {
        "images of": (f"{manifest.image.height}x{manifest.image.width}", f"{config.height}x{config.width}"),
        "embeddings of length": (f"{manifest.dimension}", f"{model.dimension}"),
        "the cameras": (_listed(manifest.cameras), _listed(cameras)),
        "the views": (_listed(manifest.views), _listed(views)),
    }
    if faults := [f"{what} {one} instead of {other}" for what, (one, other) in values.items() if one != other]:
        raise ParityError(
            f"{bundle.path} is not of {checkpoint.path}: it has {' and '.join(faults)}; give the checkpoint that it "
            "was exported from"
        )
    return model


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
