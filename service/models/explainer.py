"""From prepared images to their foreground: the patches by which the model compares them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, PatchRunner, PatchSpec
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.scoring.patches import Foreground
from vitreid.service.errors import ExplainUnsupported

AT_ONCE = 16


class Explainer:
    """A bundle's `explain.onnx`, loaded when it is first needed; safe to use from several threads, one at a time.

    `threads` is the number of cores one run uses; by default all of them.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._bundle, self._threads = bundle, threads
        self._looking = threading.Lock()
        self._runner: PatchRunner | None = None

    @property
    def patch_spec(self) -> PatchSpec:
        """Where the patches lie. Raises ExplainUnsupported for a bundle without `explain.onnx`."""
        if self._bundle.manifest.explain is None:
            raise ExplainUnsupported(
                f"the model has no {EXPLAIN}, so it cannot tell which patches it compares; whoever has its checkpoint "
                "can add it: vitreid export explain"
            )
        return self._bundle.manifest.explain

    @property
    def model(self) -> str | None:
        """What tells this `explain.onnx` from others: its SHA-256; None where the bundle has none."""
        record = self._bundle.manifest.files.get(EXPLAIN)
        return None if record is None else record.sha256

    def check(self) -> None:
        """Raise ExplainUnsupported for a bundle without `explain.onnx`."""
        _ = self.patch_spec

    def look(self, pixels: Sequence[NDArray[np.uint8]], learned_cameras: Sequence[str | None]) -> list[Foreground]:
        """The foreground of each of N prepared images, seen by learned cameras (None: unknown).

        Raises ExplainUnsupported, BundleError.
        """
        self.check()
        manifest = self._bundle.manifest
        cameras = np.array([manifest.camera_index(camera) for camera in learned_cameras], dtype=np.int64)
        found: list[Foreground] = []
        for start in range(0, len(pixels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            with self._looking:
                self._runner = self._runner or PatchRunner(self._bundle, threads=self._threads)
                patches, attention = self._runner.run(np.stack(pixels[part]), cameras[part])
            found += map(Foreground.of, patches, attention)
        return found
