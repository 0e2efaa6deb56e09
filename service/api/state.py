"""What a running service holds: the bundle, the model that runs it, and the galleries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request

from vitreid.bundle import Bundle, ImageLimits, PixelBudget
from vitreid.service.access.access import Access, open_access
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.readiness import Readiness
from vitreid.service.config import DEFAULT_GALLERY, ServiceConfig, gallery_folder
from vitreid.service.errors import NotReady
from vitreid.service.gallery.any_bundle import bundle_of
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.maintenance.patch_backfill import PatchUpkeep
from vitreid.service.gallery.maintenance.reserve import Reserve
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.models.batching import Embedded, MicroBatcher
from vitreid.service.models.bundle_choice import find_bundle, is_starter
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """The open parts, and how requests reach them."""

    config: ServiceConfig
    limits: ImageLimits
    """What an image may measure, and all that are decoded at a time."""
    bundle: Bundle
    embedder: Embedder
    explainer: Explainer
    batcher: MicroBatcher
    galleries: Galleries
    access: Access
    metrics: Metrics
    readiness: Readiness
    upkeep: Scheduler
    starter: bool
    workers: ThreadPoolExecutor
    writer: ThreadPoolExecutor
    lister: ThreadPoolExecutor
    started_s: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        """Seconds since the parts were opened."""
        return time.monotonic() - self.started_s

    def gallery(self, name: str = DEFAULT_GALLERY) -> Gallery:
        """The open gallery of this name. Raises GalleryNotFound, or why it could not be opened."""
        return self.galleries.get(name)

    async def embed(self, pixels: Sequence[NDArray[np.uint8]], learned_cameras: Sequence[str | None]) -> Embedded:
        """Embed N prepared images (`embedder.prepare`) together with those of other requests.

        Giving up waiting (cancellation) gives their places back. Raises QueueFull, ModelFailed, NotReady.
        """
        embedded = await asyncio.wrap_future(self.batcher.submit(pixels, learned_cameras))
        self.metrics.stage("wait", embedded.wait_ms)
        self.metrics.stage("run", embedded.run_ms)
        return embedded

    def embed_now(self, images: Sequence[Image.Image], learned_cameras: Sequence[str | None]) -> NDArray[np.float32]:
        """Embed RGB images of any size to unit rows (N, D); blocks, so it is for threads and commands.

        Raises EmbeddingFailed, QueueFull, ModelFailed, NotReady.
        """
        pixels = [self.embedder.prepare(image) for image in images]
        return self.batcher.submit(pixels, learned_cameras).result().embeddings

    async def work(self, task: Callable[[], T]) -> T:
        """Run blocking work in a thread; at most `workers` of them at a time, the others wait here.

        Giving up waiting (cancellation) drops work that has not begun; what has begun ends by itself.
        """
        return await asyncio.wrap_future(self.workers.submit(copy_context().run, task))

    async def write(self, task: Callable[[], T]) -> T:
        """Run the making of a long answer, one at a time: several would keep the event loop from Python's lock."""
        return await asyncio.wrap_future(self.writer.submit(copy_context().run, task))

    async def list(self, task: Callable[[], T]) -> T:
        """Likewise for pages of rows, read and written: a slow one holds up other pages and no query."""
        return await asyncio.wrap_future(self.lister.submit(copy_context().run, task))


@contextmanager
def open_service(
    config: ServiceConfig, metrics: Metrics | None = None, doing: Callable[[str], None] = lambda what: None
) -> Iterator[Service]:
    """Open bundle, model and galleries (`default` is made when missing), and close them in the end.

    The process becomes the keeper of the galleries. `doing` hears what is done next; what it raises ends the opening.
    Raises the typed errors of the bundle and of the default gallery, and NotReady where the model embeds nothing.
    """
    doing("the model")
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
            Galleries(config.galleries_folder, opener, keep="vitreid serve", check_room=reserve.check_room)
        )
        galleries.open_all(lambda name: doing(f"the gallery {name}"))
        batcher = MicroBatcher(
            embedder, embedder.grey, max_batch=config.max_batch, max_waiting=config.max_queue, observe=metrics.run
        )
        stack.callback(batcher.close, config.drain_s)
        workers = ThreadPoolExecutor(config.workers, thread_name_prefix="worker")
        stack.callback(workers.shutdown, cancel_futures=True)
        writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        stack.callback(writer.shutdown, cancel_futures=True)
        lister = ThreadPoolExecutor(1, thread_name_prefix="lister")
        stack.callback(lister.shutdown, cancel_futures=True)
        checks = {"audit_log": access.audit.check, "room": reserve.state}
        readiness = Readiness(batcher, galleries, checks=checks)
        stack.callback(readiness.close)
        doing("a first test query")
        readiness.attempt()
        metrics.watch(batcher, galleries)
        jobs = {"patches": PatchUpkeep(explainer, embedder.prepare)}
        upkeep = Scheduler(lambda: galleries.opened().values(), purge_after_s=config.purge_after_s, jobs=jobs)
        stack.enter_context(upkeep)
        yield Service(
            config=config,
            limits=_limits(config),
            bundle=bundle,
            embedder=embedder,
            explainer=explainer,
            batcher=batcher,
            galleries=galleries,
            access=access,
            metrics=metrics,
            readiness=readiness,
            upkeep=upkeep,
            starter=is_starter(bundle),
            workers=workers,
            writer=writer,
            lister=lister,
        )


def _limits(config: ServiceConfig) -> ImageLimits:
    budget = PixelBudget(config.max_decoding_pixels, config.deadline_s)
    return ImageLimits(max_pixels=config.max_pixels, budget=budget)


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


def service_of(request: Request) -> Service:
    """The parts behind a request. Raises NotReady before they are open and after they are closed."""
    service: Service | None = request.app.state.service
    if service is None:
        raise NotReady(f"{request.app.state.doing}; ask /readyz and try again")
    return service


def software_version() -> str:
    """The installed version, or a word saying that it runs from a source tree that was not installed."""
    try:
        return version("vitreid")
    except PackageNotFoundError:
        return "0+source"
