"""GET /v1/audit: who did what."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from vitreid.service.access.audit import Asked, json_lines
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import AccessDep, ThreadsDep
from vitreid.service.api.openapi.problems import problems
from vitreid.service.api.schemas.audit import AuditPage, AuditRow
from vitreid.service.api.schemas.common import Params
from vitreid.service.values.fields import MAX_ID, Named
from vitreid.service.values.times import UtcTime

router = APIRouter(tags=["system"])

JSON_LINES = "application/jsonl"


class AuditParams(Params):
    """What may stand in the address."""

    since: UtcTime | None = Field(None, description="only from then on", examples=["2026-05-01T00:00:00Z"])
    until: UtcTime | None = Field(None, description="only before then")
    key: Named | None = Field(None, description="only by the key with this id", examples=["k3v9x0qa"])
    action: Named | None = Field(None, description="only this action", examples=["erase"])
    after: int = Field(0, ge=0, le=MAX_ID, description="only rows with a greater id")
    limit: int = Field(100, ge=1, le=1000, description="how many rows at most; of no effect on jsonl")
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
    """Who asked, added and erased what, and who was refused; ids and times, never images.

    Reading it is recorded too. Rows are kept for VITREID_AUDIT_DAYS days.
    """
    log = access.audit
    asked = Asked(params.since, params.until, params.key, params.action)
    if params.format == "jsonl":
        headers = {"content-disposition": 'attachment; filename="audit.jsonl"', "cache-control": "no-store"}
        return StreamingResponse(
            json_lines(log.every(asked, after=params.after)), media_type=JSON_LINES, headers=headers
        )

    def page() -> AuditPage:
        found = log.page(asked, after=params.after, limit=params.limit + 1)
        rows = found[: params.limit]
        return AuditPage(
            rows=[AuditRow.model_validate(row) for row in rows],
            next_after=rows[-1].id if len(found) > params.limit else None,
        )

    return await threads.json_page(page)
