"""Search by images of a person or by a stored item, and embed without a search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import GalleriesDep, QueriesDep, ThreadsDep
from vitreid.service.api.middleware.audit import note_items
from vitreid.service.api.openapi.responses import links_of_item, problems
from vitreid.service.api.params import EmbedParams, ItemQueryParams, QueryParams
from vitreid.service.api.routes.items import ItemId
from vitreid.service.api.schemas.query import EmbeddingBody, QueryResult
from vitreid.service.api.uploads import FORM_TYPE, IMAGE_TYPES, MAX_QUERY_IMAGES, read_query

router = APIRouter(prefix="/v1", tags=["query"])

BINARY = {"type": "string", "format": "binary"}
SEVERAL = {"type": "array", "items": BINARY, "minItems": 1, "maxItems": MAX_QUERY_IMAGES}
FORM = {"type": "object", "required": ["image"], "additionalProperties": False, "properties": {"image": SEVERAL}}
BODY: dict[str, Any] = {
    "required": True,
    "description": "One image of a person as the body itself, or several of one person as form fields `image`.",
    "content": {
        **{kind: {"schema": BINARY} for kind in IMAGE_TYPES},
        FORM_TYPE: {"schema": FORM},
    },
}
SEND = "curl --data-binary @image.jpg -H 'Content-Type: image/jpeg'"


@router.post(
    "/query",
    summary="Search by one or several images of a person",
    response_model=QueryResult,
    response_description="candidates, most similar first, or the reason why there are none",
    openapi_extra={"requestBody": BODY, "x-curl": f"{SEND} '{{origin}}/v1/query?k=5&camera_id=c1'"},
    responses={
        200: {"links": links_of_item("$response.body#/matches/0/id")},
        **problems(400, 404, 409, 413, 415, 422),
    },
)
async def query(
    request: Request,
    params: Annotated[QueryParams, Query()],
    principal: Annotated[Principal, Depends(require("read", "query"))],
    galleries: GalleriesDep,
    queries: QueriesDep,
    threads: ThreadsDep,
) -> Response:
    """Return candidates, most similar first, each with its cosine similarity as `score`.

    A score is the similarity of two images to the model, never an identity. A human decides. Several images are one
    query: the mean of their embeddings. Filters apply before the search, so that k candidates come back whenever k
    exist. The query images are not stored.
    """
    gallery = galleries.get(params.gallery)
    result = await queries.by_images(gallery, await read_query(request), params, principal)
    note_items(request, [match.id for match in result.matches])
    return await threads.json(lambda: result)


@router.post(
    "/query/{item_id}",
    summary="Search by a stored item",
    response_model=QueryResult,
    response_description="candidates, most similar first, or the reason why there are none",
    openapi_extra={"x-curl": "curl -X POST '{origin}/v1/query/17?group_by=track&exclude_same_camera=true'"},
    responses={200: {"links": links_of_item("$response.body#/matches/0/id")}, **problems(404, 409, 422)},
)
async def query_item(
    request: Request,
    item_id: ItemId,
    params: Annotated[ItemQueryParams, Query()],
    principal: Annotated[Principal, Depends(require("read", "query-item"))],
    galleries: GalleriesDep,
    queries: QueriesDep,
    threads: ThreadsDep,
) -> Response:
    """Search as by the item's image, with its stored embedding: no model runs.

    The item is not among the candidates; with `pool=track`, no item of its track is.
    """
    result = await queries.by_item(galleries.get(params.gallery), item_id, params, principal)
    note_items(request, [match.id for match in result.matches])
    return await threads.json(lambda: result)


@router.post(
    "/embed",
    summary="Embed one or several images of a person",
    response_description="the embedding",
    openapi_extra={"requestBody": BODY, "x-curl": f"{SEND} '{{origin}}/v1/embed?camera_id=c1'"},
    responses=problems(400, 404, 413, 415, 422),
    dependencies=[Depends(require("read", "embed"))],
)
async def embed(
    request: Request,
    params: Annotated[EmbedParams, Query()],
    galleries: GalleriesDep,
    queries: QueriesDep,
) -> EmbeddingBody:
    """Return the embedding that a query with these images would use. Nothing is searched or stored."""
    gallery = galleries.get(params.gallery)
    return await queries.embed(gallery, await read_query(request), params.camera_id)
