"""FastAPI dependencies: a route names the parts of the service that it uses and gets those.

`async def route(galleries: GalleriesDep, threads: ThreadsDep)`. Every one of them raises NotReady while the service
starts or stops.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from vitreid.bundle import Bundle, ImageLimits
from vitreid.service.access.access import Access
from vitreid.service.api.embedding import EmbeddingQueue
from vitreid.service.api.info import InfoReport
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.readiness import Readiness
from vitreid.service.api.state import Service
from vitreid.service.api.threads import Threads
from vitreid.service.errors import NotReady
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer

T = TypeVar("T")


def service_of(request: Request) -> Service:
    """Return the open parts behind a request; for this module and the middleware. Raises NotReady."""
    service: Service | None = request.app.state.service
    if service is None:
        raise NotReady(f"{request.app.state.startup_step}; ask /readyz and try again")
    return service


def part(read: Callable[[Service], T]) -> Callable[[Request], Awaitable[T]]:
    """Make the dependency that hands a route one part of the service."""

    async def dependency(request: Request) -> T:  # not a plain function, which FastAPI would run in a thread
        return read(service_of(request))

    return dependency


AccessDep = Annotated[Access, Depends(part(lambda service: service.access))]
BundleDep = Annotated[Bundle, Depends(part(lambda service: service.bundle))]
EmbedderDep = Annotated[Embedder, Depends(part(lambda service: service.embedder))]
EmbeddingDep = Annotated[EmbeddingQueue, Depends(part(lambda service: service.embedding))]
ExplainerDep = Annotated[Explainer, Depends(part(lambda service: service.explainer))]
GalleriesDep = Annotated[Galleries, Depends(part(lambda service: service.galleries))]
ImageLimitsDep = Annotated[ImageLimits, Depends(part(lambda service: service.limits))]
InfoDep = Annotated[InfoReport, Depends(part(lambda service: service.info))]
MaintenanceDep = Annotated[Scheduler, Depends(part(lambda service: service.maintenance))]
MaxImagesDep = Annotated[int, Depends(part(lambda service: service.max_images))]
MetricsDep = Annotated[Metrics, Depends(part(lambda service: service.metrics))]
ReadinessDep = Annotated[Readiness, Depends(part(lambda service: service.readiness))]
ThreadsDep = Annotated[Threads, Depends(part(lambda service: service.threads))]
