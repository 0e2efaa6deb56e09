"""What is running, as /v1/info tells it."""

from __future__ import annotations

from dataclasses import asdict

from vitreid.service.api.schemas.calibration import CalibrationInfo
from vitreid.service.api.schemas.system import (
    BatchingInfo,
    BundleInfo,
    DriftInfo,
    GalleryBody,
    Info,
    LimitsInfo,
    RuntimeInfo,
)
from vitreid.service.api.state import Service, software_version
from vitreid.service.config import DEFAULT_GALLERY


def about(service: Service, *, galleries: bool) -> Info:
    """The model, what it runs on, and the limits; and of the galleries only where `galleries` says so."""
    config = service.config
    return Info(
        name="vitreid",
        version=software_version(),
        bundle=_bundle(service),
        gallery=_gallery(service) if galleries else None,
        runtime=_runtime(service),
        batching=BatchingInfo(max_batch=config.max_batch, max_queue=config.max_queue, waiting=service.batcher.waiting),
        limits=LimitsInfo(
            body_bytes=config.max_body_bytes,
            images=config.max_images,
            pixels=config.max_pixels,
            requests=config.max_requests,
            deadline_s=config.deadline_s,
        ),
        drift=[DriftInfo(**asdict(drift)) for drift in service.metrics.drift.alarms()] if galleries else [],
        warnings=service.upkeep.warnings() if galleries else [],
        uptime_s=round(service.uptime_s, 3),
    )


def _bundle(service: Service) -> BundleInfo:
    manifest = service.bundle.manifest
    return BundleInfo(
        id=manifest.bundle_id,
        name=manifest.name,
        image_height=manifest.image.height,
        image_width=manifest.image.width,
        dimension=manifest.dimension,
        cameras=list(manifest.cameras),
        starter=service.starter,
        explains=manifest.explain is not None,
        calibration=None if manifest.calibration is None else CalibrationInfo.of(manifest.calibration),
    )


def _runtime(service: Service) -> RuntimeInfo:
    runtime = service.embedder.runtime
    return RuntimeInfo(
        name=service.config.runtime, provider=runtime.provider, precision=runtime.precision, threads=runtime.threads
    )


def _gallery(service: Service) -> GalleryBody:
    info = service.gallery().info()
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
