"""FastAPI dependencies: the parts of the service, which a route gets by naming them.

`async def route(galleries: GalleriesDep, threads: ThreadsDep)`. Every one of them raises NotReady while the service
starts or stops.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from vitreid.bundle import Bundle
from vitreid.service.access.access import Access
from vitreid.service.api.adding import UploadHandler
from vitreid.service.api.explaining import ExplainHandler
from vitreid.service.api.info import InfoReport
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.querying import QueryHandler
from vitreid.service.api.readiness import Readiness
from vitreid.service.api.state import Service
from vitreid.service.api.threads import Threads
from vitreid.service.errors import NotReady
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.models.explainer import Explainer

T = TypeVar("T")


def service_of(request: Request) -> Service:
    """Return the open parts behind a request; for this module and the middleware. Raises NotReady."""
    service: Service | None = request.app.state.service
    if service is None:
        raise NotReady(f"{request.app.state.startup_step}; ask /readyz and try again")
    return service


def part(read: Callable[[Service], T]) -> Callable[[Request], Awaitable[T]]:
    """Return the dependency for one part of the service."""

    async def dependency(request: Request) -> T:  # not a plain function, which FastAPI would run in a thread
        return read(service_of(request))

    return dependency


AccessDep = Annotated[Access, Depends(part(lambda service: service.access))]
BundleDep = Annotated[Bundle, Depends(part(lambda service: service.bundle))]
ExplainerDep = Annotated[Explainer, Depends(part(lambda service: service.explainer))]
GalleriesDep = Annotated[Galleries, Depends(part(lambda service: service.galleries))]
ExplanationsDep = Annotated[ExplainHandler, Depends(part(lambda service: service.explanations))]
InfoDep = Annotated[InfoReport, Depends(part(lambda service: service.info))]
MaintenanceDep = Annotated[Scheduler, Depends(part(lambda service: service.maintenance))]
MetricsDep = Annotated[Metrics, Depends(part(lambda service: service.metrics))]
QueriesDep = Annotated[QueryHandler, Depends(part(lambda service: service.queries))]
ReadinessDep = Annotated[Readiness, Depends(part(lambda service: service.readiness))]
ThreadsDep = Annotated[Threads, Depends(part(lambda service: service.threads))]
UploadsDep = Annotated[UploadHandler, Depends(part(lambda service: service.uploads))]
