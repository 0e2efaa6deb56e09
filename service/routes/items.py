"""/v1/items: add pictures to a gallery, look at them, take them out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.access.guard import needs, note
from service.access.principal import Principal
from service.adding import add_uploads, parse_labels
from service.config import DEFAULT_GALLERY
from service.errors import ItemNotFound
from service.gallery.filters import Filter
from service.routes.problem_docs import problems
from service.schemas.common import MAX_ID, Label
from service.schemas.items import AddResultBody, ItemBody, ItemPage
from service.state import service_of
from service.uploads import FORM_TYPE, read_items

router = APIRouter(prefix="/v1/items", tags=["items"])

ItemId = Annotated[int, Path(ge=1, le=MAX_ID, description="the item's id", examples=[17])]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "metadata": {
                            "type": "string",
                            "description": "JSON: one object for all pictures, or a list with one object per picture, "
                            "with camera_id, person_id, track_id, captured_at and metadata, all optional",
                            "example": '{"camera_id": "c1", "captured_at": "2026-05-01T09:30:00Z"}',
                        },
                    },
                }
            }
        },
    },
    "x-curl": "curl -F images=@0002_c1s1_000451_03.jpg '{origin}/v1/items'",
}


class AddParams(BaseModel):
    """What may stand in the address of an addition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="which gallery to add to")


class ListParams(AddParams):
    """What may stand in the address of a list of items."""

    after: int = Field(0, ge=0, le=MAX_ID, description="only items with a greater id")
    limit: int = Field(100, ge=1, le=1000, description="how many items at most")
    camera_id: Label | None = Field(None, description="only items of this camera")
    person_id: Label | None = Field(None, description="only items with this label")


@router.post(
    "",
    summary="Add pictures",
    response_description="every picture is in the gallery",
    openapi_extra=BODY,
    responses={
        207: {"model": AddResultBody, "description": "Multi-Status: some pictures failed, each says why"},
        **problems(400, 403, 404, 413, 415, 422, 503),
    },
)
async def add_items(
    request: Request,
    params: Annotated[AddParams, Query()],
    response: Response,
    principal: Annotated[Principal, Depends(needs("write", "add"))],
) -> AddResultBody:
    """Each picture has its own result: added, duplicate (the same bytes are there already), or an error.

    Without `metadata`, person and camera are read from file names like `0002_c1s1_000451_03.jpg`.
    What was added is on disk when the answer comes. 200 when every picture is in the gallery, else 207.
    """
    service = service_of(request)
    gallery = service.gallery(params.gallery)
    uploads, text = await read_items(request, service.config.max_images)
    labels = parse_labels(text, uploads)
    for each in labels:
        principal.check_camera(each.camera_id)
    body = await add_uploads(service, gallery, uploads, labels)
    note(request, items=[result.id for result in body.results if result.id is not None])
    response.status_code = 207 if body.failed else 200
    return body


@router.get("", summary="List items", response_description="one page", responses=problems(404, 422, 503))
async def list_items(
    request: Request,
    params: Annotated[ListParams, Query()],
    principal: Annotated[Principal, Depends(needs("read", "list"))],
) -> ItemPage:
    """Items by id. Give `next_after` of one page as `after` of the next."""
    service = service_of(request)
    gallery = service.gallery(params.gallery)
    limit = params.limit
    cameras = None if params.camera_id is None else frozenset({params.camera_id})
    where = principal.filter(Filter(cameras=cameras, person_id=params.person_id))
    items = await service.work(lambda: gallery.items(params.after, limit + 1, where=where))
    page = items[:limit]
    return ItemPage(items=[ItemBody.of(item) for item in page], next_after=page[-1].id if len(items) > limit else None)


@router.get("/{item_id}", summary="One item", response_description="the item", responses=problems(404, 422, 503))
async def get_item(
    request: Request, item_id: ItemId, principal: Annotated[Principal, Depends(needs("read", "view"))]
) -> ItemBody:
    """What is known about one picture."""
    service = service_of(request)
    return ItemBody.of(await service.work(lambda: principal.check_item(service.gallery().get(item_id))))


@router.get(
    "/{item_id}/image",
    summary="One item's picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "the picture"}, **problems(404, 422, 503)},
)
async def get_image(
    request: Request, item_id: ItemId, principal: Annotated[Principal, Depends(needs("read", "view-image"))]
) -> Response:
    """The picture as it was stored: re-encoded, without the metadata of the upload."""
    service = service_of(request)
    gallery = service.gallery()
    picture = await service.work(lambda: gallery.picture(principal.check_item(gallery.get(item_id)).id))
    if picture is None:
        raise ItemNotFound(f"item {item_id} is kept without its picture")
    # Pictures of people stay out of shared and disk caches: a deleted item must be gone.
    return Response(picture, media_type="image/jpeg", headers={"cache-control": "private, no-store"})


@router.delete(
    "/{item_id}",
    status_code=204,
    response_class=Response,
    summary="Take an item out",
    response_description="it is gone",
    responses=problems(403, 404, 422, 503),
)
async def delete_item(
    request: Request, item_id: ItemId, principal: Annotated[Principal, Depends(needs("write", "delete"))]
) -> None:
    """The item is in no answer any more once this returns."""
    service = service_of(request)
    gallery = service.gallery()
    await service.work(lambda: gallery.delete(principal.check_item(gallery.get(item_id)).id))
