"""Checks that any bundle must pass, without the model that it was made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleRunner, PatchRunner
from vitreid.bundle.closeness import MIN_SPREAD, corrected_cosines, spread_of
from vitreid.export.errors import ParityError
from vitreid.export.tolerance import TOLERANCES


def check_sanity(bundle: Bundle, images: NDArray[np.uint8]) -> None:
    """Embed images (N, H, W, 3) and check what any embedding must satisfy.

    Raises ParityError for values that are not finite, rows that are not of unit length, embeddings that depend on
    the other images of their batch by more than the bundle's precision explains, and a model to which all images
    are alike; BundleDamaged for an `explain.onnx` that is not what the manifest says.
    """
    runner = BundleRunner(bundle)
    near = TOLERANCES[bundle.manifest.precision].min_cosine
    together = runner.run(images)
    alone = np.concatenate([runner.run(images[i : i + 1]) for i in range(len(images))])
    faults = {
        "are not finite": not np.isfinite(together).all(),
        "are not of unit length": np.abs(np.linalg.norm(together, axis=1) - 1).max() > 1e-4,
        "change with the images beside them": len(images) > 1 and corrected_cosines(together, alone).min() < near,
        "are the same for all images": len(images) > 1 and spread_of(alone) <= MIN_SPREAD,
    }
    if bundle.manifest.explain is not None:
        faults["come with patches that are not finite"] = not np.isfinite(PatchRunner(bundle).run(images)[0]).all()
    if found := [fault for fault, present in faults.items() if present]:
        raise ParityError(f"{bundle.path}: embeddings {' and '.join(found)}; export the bundle again")
