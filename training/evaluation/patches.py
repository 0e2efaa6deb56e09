"""A data set looked at patch by patch with a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vitreid.bundle import Bundle, PatchRunner
from vitreid.scoring.patches import Foreground, Half
from vitreid.training.datasets import Split
from vitreid.training.errors import DataError
from vitreid.training.evaluation.embed import batches, open_retrieval_model


def look_at_split(
    split: Split, model: Path, cameras_of: str | None, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Half], list[Half]]:
    """The foreground (K, D) of each query and gallery image, in half precision as a gallery keeps it.

    `model` is a bundle, `cameras_of` as in Embedder.at_cameras_of. Raises DataError for a checkpoint, PatchGraphMissing
    for a bundle without explain.onnx.
    """
    if not (model / "manifest.json").is_file():
        raise DataError(
            f"--patches needs a bundle with explain.onnx; {model} is none: vitreid export onnx, then explain"
        )
    runner = PatchRunner(Bundle.open(model))
    embedder = open_retrieval_model(model).at_cameras_of(cameras_of)
    found: list[Half] = []
    for images, cameras, views in batches((*split.query, *split.gallery), embedder, progress):
        for patches, attention in zip(*runner.run(images, cameras, views), strict=True):
            found.append(Foreground.of(patches, attention).vectors.astype(np.float16))
    return found[: len(split.query)], found[len(split.query) :]
