"""/v1/items: add, read, label and delete items."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator, Field

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import GalleriesDep, ThreadsDep, UploadsDep
from vitreid.service.api.middleware.audit import note_items
from vitreid.service.api.openapi.responses import links_of_item, problems
from vitreid.service.api.params import FilterParams, GalleryParams
from vitreid.service.api.schemas.common import ImageHash
from vitreid.service.api.schemas.items import AddResultBody, ItemBody, ItemPage, ItemPatch
from vitreid.service.api.uploads import FORM_TYPE, read_items
from vitreid.service.gallery.errors import ImageMismatch, ItemNotFound
from vitreid.service.gallery.items import Item
from vitreid.service.intake.image_labels import parse_labels
from vitreid.service.values.fields import MAX_ID, whole
from vitreid.service.values.texts import DEFAULT_GALLERY

router = APIRouter(prefix="/v1/items", tags=["items"])

ItemId = Annotated[int, Path(ge=1, le=MAX_ID, description="the item's id", examples=[17]), BeforeValidator(whole)]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "additionalProperties": False,
                    "properties": {
                        "images": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
                        "metadata": {
                            "type": "string",
                            "description": "JSON: one object for all images, or a list with one object per image, "
                            "with camera_id, person_id, track_id, captured_at and metadata, all optional. A frame has "
                            "`boxes`, a list of objects with box ([left, top, right, bottom] in pixels), person_id, "
                            "track_id, captured_at and metadata",
                            "example": '{"camera_id": "c1", "captured_at": "2026-05-01T09:30:00Z"}',
                        },
                    },
                },
            }
        },
    },
    "x-curl": "curl -F images=@0002_c1s1_000451_03.jpg '{origin}/v1/items'\n"
    'curl -F images=@frame.jpg -F \'metadata={"camera_id": "c1", "boxes": [{"box": [12, 8, 76, 200]}]}\' '
    "'{origin}/v1/items'",
}
PATCH_CURL: dict[str, Any] = {
    "x-curl": "curl -X PATCH -H 'Content-Type: application/json' -d '{\"person_id\": \"0002\"}' '{origin}/v1/items/17'"
}


class ActParams(GalleryParams):
    """Parameters of routes that change an item, with the image that it must have."""

    image_hash: ImageHash | None = Field(
        None,
        description="the item's `image_hash` from an earlier answer: 409 `image-mismatch`, without any change, if the "
        "item has another",
    )

    def check(self, item: Item) -> Item:
        """Return the item. Raises ImageMismatch."""
        if self.image_hash not in (None, item.image_hash):
            raise ImageMismatch.of(item.id, item.image_hash, self.image_hash)
        return item


class AddParams(GalleryParams):
    """Parameters of additions."""

    on_duplicate: Literal["keep", "relabel"] = Field(
        "keep",
        description="of an item with the same image: `keep` its labels, or `relabel` it with those that were sent; "
        "no label is cleared",
    )


class ListParams(FilterParams):
    """Parameters of lists of items."""

    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="the gallery's name")
    after: int = Field(0, ge=0, le=MAX_ID, description="only items with a greater id")
    limit: int = Field(100, ge=1, le=1000, description="maximum number of items")


InGallery = Annotated[GalleryParams, Query()]
Adding = Annotated[AddParams, Query()]
ActOn = Annotated[ActParams, Query()]


@router.post(
    "",
    summary="Add images",
    response_description="every image is in the gallery",
    openapi_extra=BODY,
    responses={
        200: {"links": links_of_item("$response.body#/results/0/id")},
        207: {
            "model": AddResultBody,
            "description": "Multi-Status: some images were rejected or failed; each result has the reason",
            "links": links_of_item("$response.body#/results/0/id"),
        },
        **problems(400, 404, 409, 413, 415, 422, 507),
    },
)
async def add_items(
    request: Request,
    params: Adding,
    response: Response,
    principal: Annotated[Principal, Depends(require("write", "add"))],
    galleries: GalleriesDep,
    handler: UploadsDep,
    threads: ThreadsDep,
) -> AddResultBody:
    """Crops of one person each, or frames with `boxes`, of which every box becomes an item.

    Each crop and each box has its own result: added; duplicate, if an item that the key may see has the same bytes
    (of a box: the same frame and edges), with the names of the labels that are `differing`; rejected, if its quality
    is outside of the gallery's ranges; or an error. A person_id or camera_id that `metadata` leaves out is read from
    file names like `0002_c1s1_000451_03.jpg`, except for frames; null means unknown. The labels of a duplicate do not
    change unless `on_duplicate=relabel`. Additions are on disk when the answer comes. 200 if everything is in the
    gallery, else 207.
    """
    gallery = galleries.get(params.gallery)
    uploads, text = await read_items(request, handler.max_images)
    labels = await threads.run(lambda: parse_labels(text, [upload.name for upload in uploads]))
    for each in labels:
        principal.check_camera(each.camera_id)
    relabel = params.on_duplicate == "relabel"
    body = await handler.add(gallery, uploads, labels, principal.cameras, relabel=relabel)
    note_items(request, [result.id for result in body.results if result.id is not None])
    response.status_code = 207 if body.failed or body.rejected else 200
    return body


@router.get(
    "",
    summary="List items",
    response_model=ItemPage,
    response_description="one page",
    responses={200: {"links": links_of_item("$response.body#/items/0/id")}, **problems(404, 422)},
)
async def list_items(
    params: Annotated[ListParams, Query()],
    principal: Annotated[Principal, Depends(require("read", "list"))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> Response:
    """List items by id. Give `next_after` of one page as `after` of the next."""
    gallery = galleries.get(params.gallery)
    where = principal.filter(params.where())

    def page() -> ItemPage:
        found = gallery.items(params.after, params.limit + 1, where=where)
        items = found[: params.limit]
        return ItemPage(
            items=[ItemBody.of(item, gallery.name) for item in items],
            next_after=items[-1].id if found[len(items) :] else None,
        )

    return await threads.json_page(page)


@router.get("/{item_id}", summary="One item", response_description="the item", responses=problems(404, 422))
async def get_item(
    item_id: ItemId,
    params: InGallery,
    principal: Annotated[Principal, Depends(require("read", "view"))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> ItemBody:
    """Return one item with its labels."""
    gallery = galleries.get(params.gallery)
    return ItemBody.of(await threads.run(lambda: principal.check_item(gallery.get(item_id))), gallery.name)


@router.patch(
    "/{item_id}",
    summary="Change an item's labels",
    response_description="the changed item",
    openapi_extra=PATCH_CURL,
    responses=problems(400, 404, 409, 413, 415, 422, 507),
)
async def patch_item(
    item_id: ItemId,
    patch: ItemPatch,
    params: ActOn,
    principal: Annotated[Principal, Depends(require("write", "patch"))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> ItemBody:
    """Labels that are left out do not change; null clears one. Searches use the new labels at once.

    The embedding does not change, even if the new `camera_id` is mapped to another learned camera: `model_camera` is
    the one that it was made with.
    """
    gallery = galleries.get(params.gallery)
    changes = patch.changes()
    if "camera_id" in changes:
        principal.check_camera(changes["camera_id"])

    def change() -> ItemBody:
        params.check(principal.check_item(gallery.get(item_id)))  # an item's image never changes, and no id comes back
        return ItemBody.of(gallery.update(item_id, changes), gallery.name)

    return await threads.run(change)


@router.get(
    "/{item_id}/image",
    summary="One item's image",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "the image"}, **problems(404, 422)},
)
async def get_image(
    item_id: ItemId,
    params: InGallery,
    principal: Annotated[Principal, Depends(require("read", "view-image"))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> Response:
    """Return the image as it was stored: re-encoded, without the metadata of the upload."""
    gallery = galleries.get(params.gallery)
    image = await threads.run(lambda: gallery.image(principal.check_item(gallery.get(item_id)).id))
    if image is None:
        raise ItemNotFound(f"item {item_id} is stored without its image")
    # Images of people stay out of shared and disk caches: a deleted item must be gone.
    return Response(image, media_type="image/jpeg", headers={"cache-control": "private, no-store"})


@router.delete(
    "/{item_id}",
    status_code=204,
    response_class=Response,
    summary="Delete an item",
    response_description="it is deleted",
    responses=problems(404, 409, 422, 507),
)
async def delete_item(
    item_id: ItemId,
    params: ActOn,
    principal: Annotated[Principal, Depends(require("write", "delete"))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> None:
    """No answer holds the item from now on; the next purge removes its traces from the files.

    There is no receipt; `POST /v1/erasures` gives one.
    """
    gallery = galleries.get(params.gallery)
    await threads.run(lambda: gallery.delete(params.check(principal.check_item(gallery.get(item_id))).id))
