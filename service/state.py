"""What a running service holds: the bundle, the model that runs it, and the gallery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request

from bundle import Bundle, ImageLimits
from service.config import DEFAULT_GALLERY, ServiceConfig
from service.embedder import Embedder
from service.errors import GalleryNotFound, NotReady
from service.gallery.gallery import Gallery
from service.starter import bundle_path

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """The open parts, and how requests reach them."""

    config: ServiceConfig
    bundle: Bundle
    embedder: Embedder
    gallery: Gallery
    starter: bool
    limiter: anyio.CapacityLimiter
    started_s: float = field(default_factory=time.monotonic)
    _model: threading.Lock = field(default_factory=threading.Lock)

    @property
    def limits(self) -> ImageLimits:
        """What a picture may measure."""
        return ImageLimits(max_pixels=self.config.max_pixels)

    @property
    def uptime_s(self) -> float:
        """Seconds since the parts were opened."""
        return time.monotonic() - self.started_s

    def embed(self, images: Sequence[Image.Image], camera_ids: Sequence[str | None]) -> NDArray[np.float32]:
        """Embed RGB pictures to unit rows (N, D).

        One run at a time: a run already uses all the cores it was given, and a second one beside it makes both slower.
        """
        pixels = [self.embedder.prepare(image) for image in images]
        with self._model:
            return self.embedder.run(pixels, camera_ids)

    async def work(self, task: Callable[[], T]) -> T:
        """Run blocking work in a thread; at most `workers` of them at a time, the others wait here."""
        return await anyio.to_thread.run_sync(task, limiter=self.limiter)


@contextmanager
def open_service(config: ServiceConfig) -> Iterator[Service]:
    """Open bundle, model and gallery (made when missing), and close the gallery in the end.

    Raises the typed errors of bundle and gallery.
    """
    path, starter = bundle_path(config.bundle)
    bundle = Bundle.open(path)
    embedder = Embedder(bundle, runtime=config.runtime, threads=config.threads)
    manifest = bundle.manifest
    with Gallery.open(
        config.gallery_folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, index=config.index
    ) as gallery:
        yield Service(config, bundle, embedder, gallery, starter, anyio.CapacityLimiter(config.workers))


def service_of(request: Request) -> Service:
    """The parts behind a request. Raises NotReady before they are open and after they are closed."""
    service: Service | None = getattr(request.app.state, "service", None)
    if service is None:
        raise NotReady("the model and the gallery are still loading; ask /readyz and try again")
    return service


def check_gallery(name: str) -> None:
    """Raise GalleryNotFound for any gallery but the one there is."""
    if name != DEFAULT_GALLERY:
        raise GalleryNotFound(f"there is no gallery {name!r}; this service has one, called {DEFAULT_GALLERY!r}")


def software_version() -> str:
    """The installed version, or a word saying that it runs from a source tree that was not installed."""
    try:
        return version("vitreid")
    except PackageNotFoundError:
        return "0+source"
