"""POST /v1/query: a picture of a person in, candidates from the gallery out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from service.access.guard import needs, note
from service.access.principal import Principal
from service.querying import QueryParams, answer
from service.routes.problem_docs import problems
from service.schemas.query import QueryResult
from service.state import service_of
from service.uploads import FORM_TYPE, IMAGE_TYPES, read_query

router = APIRouter(tags=["query"])

BINARY = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One picture of one person: the body itself, or the form field `image`.",
        "content": {
            **{kind: {"schema": BINARY} for kind in IMAGE_TYPES},
            FORM_TYPE: {"schema": {"type": "object", "required": ["image"], "properties": {"image": BINARY}}},
        },
    },
    "x-curl": "curl --data-binary @picture.jpg -H 'Content-Type: image/jpeg' '{origin}/v1/query?k=5&camera_id=c1'",
}


@router.post(
    "/v1/query",
    summary="Find candidates that look like the person in a picture",
    response_description="candidates, most alike first",
    openapi_extra=BODY,
    responses=problems(400, 404, 413, 415, 422, 503),
)
async def query(
    request: Request,
    params: Annotated[QueryParams, Query()],
    principal: Annotated[Principal, Depends(needs("read", "query"))],
) -> QueryResult:
    """Candidates come most alike first, each with its cosine likeness as `score`.

    A score says how alike two pictures are to the model; it never says who somebody is. A human decides.
    The query picture is not stored.
    """
    service = service_of(request)
    upload = await read_query(request)
    result = await answer(service, upload, params, principal)
    note(request, items=[match.id for match in result.matches])
    return result
