"""Metrics of the service for Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from vitreid.service.api.drift import DriftWatch
from vitreid.service.errors import GalleryError
from vitreid.service.gallery import GalleryInfo
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.maintenance.purging import unpurged
from vitreid.service.models.batching import MicroBatcher

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SCORES = tuple(place / 20 for place in range(-4, 20))
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CAMERAS = 100  # of one gallery, by name in labels
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
UNKNOWN = "unknown"
logger = logging.getLogger("vitreid")


class Metrics:
    """A registry and its counters. Labels take few values, whatever clients send."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.drift = DriftWatch()
        self._cameras: dict[str, set[str]] = {}  # those with a label, by gallery
        self._requests = Counter(
            "vitreid_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self._request = Histogram(
            "vitreid_request_seconds",
            "From a request to its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stage = Histogram(
            "vitreid_stage_seconds",
            "Parts of a request: decode, wait (for the model), run, search",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram("vitreid_batch_images", "Images of a run", buckets=SIZES, registry=self.registry)
        self._rejections = Counter(
            "vitreid_rejections", "Requests refused, by the slug of the problem", ["reason"], registry=self.registry
        )
        self._score = Histogram(
            "vitreid_best_score",
            "Score of the best match of a query",
            ["gallery", "camera"],
            buckets=SCORES,
            registry=self.registry,
        )
        self._drift = Gauge(
            "vitreid_score_drift",
            "Population stability index of the recent best scores against the first ones",
            ["gallery", "camera"],
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def watch(self, batcher: MicroBatcher, galleries: Galleries) -> None:
        """Add gauges of these parts, which are read at each scrape."""
        self.registry.register(_Parts(batcher, galleries))

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(route, method if method in METHODS else OTHER, status).inc()
        self._request.labels(route).observe(seconds)

    def stage(self, name: str, milliseconds: float) -> None:
        """Measure a part of a request: decode, wait, run, search."""
        self._stage.labels(name).observe(milliseconds / 1000)

    def run(self, size: int, seconds: float) -> None:
        """Measure one run of the model."""
        self._batch.observe(size)

    def rejected(self, reason: str) -> None:
        """Count a request, or an image of one, that was refused."""
        self._rejections.labels(reason).inc()

    def best_match(
        self, gallery: str, camera_id: str | None, score: float, exists: Callable[[str], bool] = lambda camera: True
    ) -> None:
        """Add the best score of a query; warn if the camera's scores have drifted.

        Only a camera that `exists` in the gallery gets a label: the client can name any.
        """
        camera = self._camera_label(gallery, camera_id, exists)
        self._score.labels(gallery, camera).observe(score)
        drift = self.drift.add(gallery, camera, score)
        if drift is None:
            return
        self._drift.labels(gallery, camera).set(drift.index)
        if drift.alarm:
            logger.warning(
                "gallery %s: the best scores of queries from camera %s have drifted: %.3f on average, %.3f at first "
                "(stability index %.2f); check the camera and the queries from it",
                gallery, camera, drift.recent_mean, drift.reference_mean, drift.index,
            )  # fmt: skip

    def forget(self, gallery: str) -> None:
        """Remove the metrics of a gallery that was dropped."""
        self.drift.forget(gallery)
        for camera in (*self._cameras.pop(gallery, ()), OTHER, UNKNOWN):
            for labelled in (self._score, self._drift):
                with suppress(KeyError):
                    labelled.remove(gallery, camera)

    def _camera_label(self, gallery: str, camera_id: str | None, exists: Callable[[str], bool]) -> str:
        if camera_id is None:
            return UNKNOWN
        shown = self._cameras.setdefault(gallery, set())
        if camera_id not in shown:
            if len(shown) >= CAMERAS or not exists(camera_id):
                return OTHER
            shown.add(camera_id)
        return camera_id


class _Parts:
    """Gauges of the queue and of every gallery, read at each scrape."""

    def __init__(self, batcher: MicroBatcher, galleries: Galleries) -> None:
        self._batcher = batcher
        self._galleries = galleries

    def describe(self) -> Iterable[Metric]:
        """Return nothing beforehand: the names are this module's own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the current gauges; a gallery that cannot be read is down."""
        yield GaugeMetricFamily("vitreid_queue_images", "Images that wait for the model", self._batcher.waiting)
        yield GaugeMetricFamily("vitreid_run_seconds", "Duration of the current run so far", self._batcher.running_s)
        up = GaugeMetricFamily("vitreid_gallery_up", "1 where the gallery can be used", labels=["gallery"])
        pending = GaugeMetricFamily(
            "vitreid_purge_pending", "1 where files hold something of what was deleted", labels=["gallery"]
        )
        infos: dict[str, GalleryInfo] = {}
        for name, gallery in self._galleries.opened().items():
            try:
                infos[name] = gallery.info()
                pending.add_metric([name], float(unpurged(gallery) is not None))
            except GalleryError as error:
                logger.warning("gallery %s cannot be measured: %s", name, error)
        for name in self._galleries.names():
            up.add_metric([name], float(name in infos))
        yield up
        yield pending
        yield from _gallery_gauges(infos)


def _gallery_gauges(infos: Mapping[str, GalleryInfo]) -> Iterator[Metric]:
    for name, help_text, value in (
        ("vitreid_gallery_items", "Items", lambda info: info.items),
        ("vitreid_gallery_bytes", "Size of the database", lambda info: info.bytes),
        ("vitreid_index_bytes", "Memory of the index", lambda info: info.index_bytes),
        ("vitreid_snapshot_age_seconds", "Since the newest snapshot", _snapshot_age_s),
        ("vitreid_snapshot_lag", "Changes since the newest snapshot", lambda info: info.seq - (info.snapshot_seq or 0)),
    ):
        family = GaugeMetricFamily(name, help_text, labels=["gallery"])
        for gallery, info in infos.items():
            if (measured := value(info)) is not None:
                family.add_metric([gallery], measured)
        yield family
    kinds = GaugeMetricFamily("vitreid_index", "How a gallery is searched", labels=["gallery", "kind"])
    for gallery, info in infos.items():
        kinds.add_metric([gallery, info.index], 1)
    yield kinds


def _snapshot_age_s(info: GalleryInfo) -> float | None:
    return None if info.snapshot_at is None else max(0.0, (datetime.now(UTC) - info.snapshot_at).total_seconds())
