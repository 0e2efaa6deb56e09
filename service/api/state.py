"""The parts of a running service: opened in order, closed in reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vitreid.bundle import Bundle, ImageLimits, PixelBudget
from vitreid.service.access.access import Access, open_access
from vitreid.service.api.adding import UploadHandler
from vitreid.service.api.explaining import ExplainHandler
from vitreid.service.api.info import InfoReport
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.querying import QueryHandler
from vitreid.service.api.readiness import Readiness
from vitreid.service.api.schemas.system import LimitsInfo
from vitreid.service.api.threads import Threads
from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.db import Reserve
from vitreid.service.gallery import bundle_of
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.maintenance.patch_backfill import PatchBackfill
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.models.batching import EmbeddingQueue, MicroBatcher
from vitreid.service.models.bundle_choice import find_bundle, is_starter
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
from vitreid.service.values.texts import DEFAULT_GALLERY


@dataclass(frozen=True)
class Service:
    """The open parts of a running service; routes get them one by one from api.dependencies."""

    bundle: Bundle
    embedder: Embedder
    batcher: MicroBatcher
    explainer: Explainer
    galleries: Galleries
    access: Access
    metrics: Metrics
    readiness: Readiness
    maintenance: Scheduler
    threads: Threads
    info: InfoReport
    queries: QueryHandler
    uploads: UploadHandler
    explanations: ExplainHandler
    starter: bool

    def gallery(self, name: str = DEFAULT_GALLERY) -> Gallery:
        """Return the open gallery of this name. Raises GalleryNotFound, or the error that its opening raised."""
        return self.galleries.get(name)


@contextmanager
def open_service(
    config: ServiceConfig, metrics: Metrics | None = None, on_progress: Callable[[str], None] = lambda step: None
) -> Iterator[Service]:
    """Open bundle, model and galleries (`default` is made when missing), and close them at the end.

    The process locks the galleries. `on_progress(step)` is called before each step; an exception from it ends the
    opening. Raises the errors of the bundle and of the default gallery, and NotReady where the model embeds nothing.
    """
    on_progress("the model")
    default = gallery_folder(config.data)
    bundle = find_bundle(config.bundle, default, made_with=bundle_of(default))
    embedder = Embedder(bundle, config.choice)
    explainer = Explainer(bundle, threads=config.threads)
    metrics = metrics or Metrics()
    with ExitStack() as stack:
        access = stack.enter_context(_access(config))
        reserve = Reserve(config.data)
        reserve.fill()
        opener = partial(_open_gallery, bundle=bundle, index=config.index, reserve=reserve)
        galleries = stack.enter_context(
            Galleries(config.galleries_folder, opener, command="vitreid serve", shortage=reserve.shortage)
        )
        galleries.open_all(lambda name: on_progress(f"the gallery {name}"))
        batcher = MicroBatcher(
            embedder, embedder.grey, max_batch=config.max_batch, max_waiting=config.max_queue, observe=metrics.run
        )
        stack.callback(batcher.close, config.drain_s)
        threads = Threads(config.workers)
        stack.callback(threads.close)
        checks = {"audit_log": access.audit.check, "room": reserve.state}
        readiness = Readiness(batcher, galleries, checks=checks)
        stack.callback(readiness.close)
        on_progress("a first test query")
        readiness.attempt()
        metrics.watch(batcher, galleries)
        jobs = {"patches": PatchBackfill(explainer, embedder.prepare)}
        maintenance = Scheduler(lambda: galleries.opened().values(), purge_after_s=config.purge_after_s, jobs=jobs)
        stack.enter_context(maintenance)
        starter = is_starter(bundle)
        limits = ImageLimits(
            max_pixels=config.max_pixels, budget=PixelBudget(config.max_decoding_pixels, config.deadline_s)
        )
        embedding = EmbeddingQueue(embedder, batcher, metrics.stage)
        yield Service(
            bundle=bundle,
            embedder=embedder,
            batcher=batcher,
            explainer=explainer,
            galleries=galleries,
            access=access,
            metrics=metrics,
            readiness=readiness,
            maintenance=maintenance,
            threads=threads,
            info=InfoReport(
                embedder, batcher, galleries, metrics.drift, maintenance.warnings, _limits_info(config),
                runtime=config.runtime, max_batch=config.max_batch, max_queue=config.max_queue, starter=starter,
            ),
            queries=QueryHandler(bundle.manifest, embedding, explainer, limits, metrics, threads),
            uploads=UploadHandler(bundle.manifest, embedding, limits, metrics, threads, config.max_images),
            explanations=ExplainHandler(bundle.manifest, embedder, explainer, limits),
            starter=starter,
        )  # fmt: skip


def _limits_info(config: ServiceConfig) -> LimitsInfo:
    return LimitsInfo(
        body_bytes=config.max_body_bytes,
        images=config.max_images,
        pixels=config.max_pixels,
        requests=config.max_requests,
        deadline_s=config.deadline_s,
    )


def _access(config: ServiceConfig) -> AbstractContextManager[Access]:
    return open_access(
        config.data,
        rate_per_s=config.rate_per_s,
        rate_burst=config.rate_burst,
        audit_days=config.audit_days,
        audit_addresses=config.audit_addresses,
        require_keys=config.require_keys,
    )


def _open_gallery(folder: Path, *, bundle: Bundle, index: str, reserve: Reserve) -> Gallery:
    manifest = bundle.manifest
    gallery = Gallery.open(folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, index=index, load=False)
    gallery.reserve = reserve
    return gallery
