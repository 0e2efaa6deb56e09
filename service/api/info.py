"""The answer of GET /v1/info."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from vitreid.service.api.drift import DriftWatch
from vitreid.service.api.schemas.system import (
    BatchingInfo,
    BundleInfo,
    CalibrationInfo,
    DriftInfo,
    GalleryBody,
    Info,
    LimitsInfo,
    RuntimeInfo,
)
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.models.batching import MicroBatcher
from vitreid.service.models.embedder import Embedder
from vitreid.service.values.texts import DEFAULT_GALLERY


class InfoReport:
    """Describes the model, its runtime, the limits and the default gallery."""

    def __init__(
        self,
        embedder: Embedder,
        batcher: MicroBatcher,
        galleries: Galleries,
        drift: DriftWatch,
        warnings: Callable[[], list[str]],
        limits: LimitsInfo,
        *,
        runtime: str,
        max_batch: int,
        max_queue: int,
        starter: bool,
    ) -> None:
        self._batcher = batcher
        self._galleries = galleries
        self._drift = drift
        self._warnings = warnings
        self._limits = limits
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._bundle = _bundle(embedder, starter=starter)
        self._runtime = _runtime(embedder, runtime)
        self._started_s = time.monotonic()

    def report(self, *, galleries: bool) -> Info:
        """Return the state as it is now; without `galleries` nothing that concerns them."""
        return Info(
            name="vitreid",
            version=software_version(),
            bundle=self._bundle,
            gallery=self._gallery() if galleries else None,
            runtime=self._runtime,
            batching=BatchingInfo(max_batch=self._max_batch, max_queue=self._max_queue, waiting=self._batcher.waiting),
            limits=self._limits,
            drift=[DriftInfo(**asdict(drift)) for drift in self._drift.alarms()] if galleries else [],
            warnings=self._warnings() if galleries else [],
            uptime_s=round(time.monotonic() - self._started_s, 3),
        )

    def _gallery(self) -> GalleryBody:
        info = self._galleries.get(DEFAULT_GALLERY).info()
        return GalleryBody(
            name=DEFAULT_GALLERY,
            size=info.items,
            persons=info.persons,
            cameras=info.cameras,
            generation=info.generation,
            index=info.index,
            index_reason=info.index_reason,
            index_parameters=info.index_parameters,
            index_bytes=info.index_bytes,
            snapshot_at=info.snapshot_at,
            snapshot_lag=info.seq - (info.snapshot_seq or 0),
        )


def software_version() -> str:
    """Return the installed version, or `0+source` for a source tree that is not installed."""
    try:
        return version("vitreid")
    except PackageNotFoundError:
        return "0+source"


def _bundle(embedder: Embedder, *, starter: bool) -> BundleInfo:
    manifest = embedder.manifest
    return BundleInfo(
        id=manifest.bundle_id,
        name=manifest.name,
        image_height=manifest.image.height,
        image_width=manifest.image.width,
        dimension=manifest.dimension,
        cameras=list(manifest.cameras),
        starter=starter,
        explains=manifest.explain is not None,
        calibration=None if manifest.calibration is None else CalibrationInfo.of(manifest.calibration),
    )


def _runtime(embedder: Embedder, name: str) -> RuntimeInfo:
    runtime = embedder.runtime
    return RuntimeInfo(name=name, provider=runtime.provider, precision=runtime.precision, threads=runtime.threads)
