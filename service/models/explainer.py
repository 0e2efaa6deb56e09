"""Explainer: prepared images to their foreground, the patches that the model compares."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, PatchRunner, PatchSpec
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.scoring.patches import Foreground
from vitreid.service.errors import ExplainUnsupported

BATCH = 16


class Explainer:
    """A bundle's `explain.onnx`, loaded when it is first needed; safe to use from several threads, one at a time.

    `threads` is the number of cores one run uses; by default all of them.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._bundle, self._threads = bundle, threads
        self._lock = threading.Lock()
        self._runner: PatchRunner | None = None

    @property
    def patch_spec(self) -> PatchSpec:
        """Layout of the patches. Raises ExplainUnsupported for a bundle without `explain.onnx`."""
        if self._bundle.manifest.explain is None:
            raise ExplainUnsupported(
                f"the model has no {EXPLAIN}, so the patches that it compares are unknown; add it from the model's "
                "checkpoint with `vitreid export explain`"
            )
        return self._bundle.manifest.explain

    @property
    def model(self) -> str | None:
        """SHA-256 of this `explain.onnx`; None for a bundle without one."""
        record = self._bundle.manifest.files.get(EXPLAIN)
        return None if record is None else record.sha256

    def check(self) -> None:
        """Raise ExplainUnsupported for a bundle without `explain.onnx`."""
        _ = self.patch_spec

    def foreground(self, pixels: Sequence[NDArray[np.uint8]], model_cameras: Sequence[str | None]) -> list[Foreground]:
        """Return the foreground of each of N prepared images, taken by model cameras (None: unknown).

        Raises ExplainUnsupported, BundleError.
        """
        self.check()
        manifest = self._bundle.manifest
        cameras = np.array([manifest.camera_index(camera) for camera in model_cameras], dtype=np.int64)
        foregrounds: list[Foreground] = []
        for start in range(0, len(pixels), BATCH):
            part = slice(start, start + BATCH)
            with self._lock:
                self._runner = self._runner or PatchRunner(self._bundle, threads=self._threads)
                patches, attention = self._runner.run(np.stack(pixels[part]), cameras[part])
            foregrounds += map(Foreground.of, patches, attention)
        return foregrounds
