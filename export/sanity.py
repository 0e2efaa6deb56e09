"""Checks of any bundle, without the model that it was made from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleRunner, PatchRunner
from vitreid.bundle.closeness import MIN_SPREAD, corrected_cosines, spread_of
from vitreid.export.errors import ParityError
from vitreid.export.tolerance import TOLERANCES


def check_sanity(bundle: Bundle, images: NDArray[np.uint8]) -> None:
    """Embed images (N, H, W, 3) and check that the embeddings are valid.

    Raises ParityError for values that are not finite, rows that are not of unit length, embeddings that depend on
    the other images of their batch by more than the bundle's precision explains, and equal embeddings of all images;
    BundleDamaged for an `explain.onnx` that does not match the manifest.
    """
    runner = BundleRunner(bundle)
    min_cosine = TOLERANCES[bundle.manifest.precision].min_cosine
    together = runner.run(images)
    alone = np.concatenate([runner.run(images[i : i + 1]) for i in range(len(images))])
    faults = {
        "are not finite": not np.isfinite(together).all(),
        "are not of unit length": np.abs(np.linalg.norm(together, axis=1) - 1).max() > 1e-4,
        "change with the images beside them": len(images) > 1 and corrected_cosines(together, alone).min() < min_cosine,
        "are the same for all images": len(images) > 1 and spread_of(alone) <= MIN_SPREAD,
    }
    if bundle.manifest.explain is not None:
        faults["come with patches that are not finite"] = not np.isfinite(PatchRunner(bundle).run(images)[0]).all()
    if found := [fault for fault, present in faults.items() if present]:
        raise ParityError(f"{bundle.path}: embeddings {' and '.join(found)}; export the bundle again")
