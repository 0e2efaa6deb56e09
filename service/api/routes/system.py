"""What is running, whether it lives, and whether it can answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import optional_principal, require
from vitreid.service.api.dependencies import InfoDep, MetricsDep, ReadinessDep, ThreadsDep
from vitreid.service.api.openapi.problems import problem, problems
from vitreid.service.api.schemas.system import Health, Info

router = APIRouter(tags=["system"])


@router.get("/v1/info", summary="What is running", response_description="what is running", responses=problems())
async def info(
    principal: Annotated[Principal, Depends(require("read", gallery=False))], report: InfoDep, threads: ThreadsDep
) -> Info:
    """The model, the default gallery, limits and alarms. A limited key is told nothing about galleries."""
    return await threads.run(lambda: report.report(galleries=principal.unlimited))


@router.get("/healthz", summary="Whether the process lives", response_description="it lives")
async def healthz() -> Health:
    """Says ok as long as the process answers; for what it can do ask /readyz."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Whether queries can be answered", response_description="they can", responses={503: problem(503)}
)
async def readyz(
    principal: Annotated[Principal | None, Depends(optional_principal)], readiness: ReadinessDep
) -> Health:
    """Embeds a grey image and searches the galleries with it: ready means that a query would be answered now.

    Tried at most once a second, however many ask. Open to all; what was tried is told to those with a key.
    """
    checks = await readiness.check()
    return Health(status="ready", checks=checks if principal is not None else {})


@router.get(
    "/metrics",
    summary="Measurements for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "its text format"}, **problems()},
    dependencies=[Depends(require("read", gallery=False, unrestricted=True))],
)
async def metrics(measured: MetricsDep, threads: ThreadsDep) -> Response:
    """Latencies by route and stage, the queue, the galleries, refusals, and how the scores of queries move."""
    return Response(await threads.run(measured.text), media_type=CONTENT_TYPE_LATEST)
