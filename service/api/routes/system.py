"""Information, health, readiness, metrics and the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

from vitreid.service.access.audit import AuditFilter, json_lines
from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import optional_principal, require
from vitreid.service.api.dependencies import AccessDep, InfoDep, MetricsDep, ReadinessDep, ThreadsDep
from vitreid.service.api.openapi.responses import problem, problems
from vitreid.service.api.schemas.common import Params
from vitreid.service.api.schemas.system import AuditPage, AuditRow, Health, Info
from vitreid.service.values.fields import MAX_ID, Named
from vitreid.service.values.times import UtcTime

router = APIRouter(tags=["system"])


@router.get(
    "/v1/info",
    summary="Information about the service",
    response_description="model, gallery, limits",
    responses=problems(),
)
async def info(
    principal: Annotated[Principal, Depends(require("read", gallery=False))], report: InfoDep, threads: ThreadsDep
) -> Info:
    """Return the model, the default gallery, limits and alarms; nothing about galleries to a limited key."""
    return await threads.run(lambda: report.report(galleries=principal.unlimited))


@router.get("/healthz", summary="Health check", response_description="the process answers")
async def healthz() -> Health:
    """Return ok as long as the process answers; /readyz checks whether it can serve queries."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Readiness check", response_description="ready for queries", responses={503: problem(503)}
)
async def readyz(
    principal: Annotated[Principal | None, Depends(optional_principal)], readiness: ReadinessDep
) -> Health:
    """Embed a grey image and search the galleries with it: ready means that a query would be answered now.

    Checked at most once a second, however many probes come. No key is needed; only callers with one get the checks.
    """
    checks = await readiness.check()
    return Health(status="ready", checks=checks if principal is not None else {})


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "its text format"}, **problems()},
    dependencies=[Depends(require("read", gallery=False, unrestricted=True))],
)
async def metrics(measured: MetricsDep, threads: ThreadsDep) -> Response:
    """Return latencies by route and stage, the queue, the galleries, refusals, and the drift of scores."""
    return Response(await threads.run(measured.text), media_type=CONTENT_TYPE_LATEST)


JSON_LINES = "application/jsonl"


class AuditParams(Params):
    """Parameters of the audit log."""

    since: UtcTime | None = Field(None, description="only at or after this time", examples=["2026-05-01T00:00:00Z"])
    until: UtcTime | None = Field(None, description="only before this time")
    key: Named | None = Field(None, description="only by the key with this id", examples=["k3v9x0qa"])
    action: Named | None = Field(None, description="only this action", examples=["erase"])
    after: int = Field(0, ge=0, le=MAX_ID, description="only rows with a greater id")
    limit: int = Field(100, ge=1, le=1000, description="maximum number of rows; ignored for jsonl")
    format: Literal["json", "jsonl"] = Field(
        "json", description="`json`: one page; `jsonl`: every row after `after`, one JSON object a line"
    )


@router.get(
    "/v1/audit",
    summary="Read the audit log",
    response_model=AuditPage,
    response_description="one page, or all rows as lines",
    responses={200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}, **problems(422)},
    dependencies=[Depends(require("admin", "audit", gallery=False, unrestricted=True))],
    openapi_extra={"x-curl": "curl -H 'Authorization: Bearer vitreid_...' '{origin}/v1/audit?format=jsonl'"},
)
async def read_audit(params: Annotated[AuditParams, Query()], access: AccessDep, threads: ThreadsDep) -> Response:
    """Return the caller, action, time and items of requests, refused ones included; never images.

    Reading it is recorded too. Rows are deleted after VITREID_AUDIT_DAYS days.
    """
    log = access.audit
    wanted = AuditFilter(params.since, params.until, params.key, params.action)
    if params.format == "jsonl":
        headers = {"content-disposition": 'attachment; filename="audit.jsonl"', "cache-control": "no-store"}
        return StreamingResponse(
            json_lines(log.every(wanted, after=params.after)), media_type=JSON_LINES, headers=headers
        )

    def page() -> AuditPage:
        found = log.page(wanted, after=params.after, limit=params.limit + 1)
        rows = found[: params.limit]
        return AuditPage(
            rows=[AuditRow.model_validate(row) for row in rows],
            next_after=rows[-1].id if len(found) > params.limit else None,
        )

    return await threads.json_page(page)
