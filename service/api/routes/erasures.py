"""/v1/erasures and /v1/persons: erase items or a person, and read receipts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import GalleriesDep, ThreadsDep
from vitreid.service.api.middleware.audit import note_items
from vitreid.service.api.openapi.responses import links_of_receipt, problems
from vitreid.service.api.params import GalleryParams
from vitreid.service.api.schemas.erasures import ErasureRequest, ReceiptBody, ReceiptPage
from vitreid.service.gallery import Filter, Gallery
from vitreid.service.gallery.errors import PersonNotFound
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.values.fields import MAX_ID, Named

router = APIRouter(tags=["erasure"])

ErasureId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="the receipt's id",
        examples=["7f1f5a34-6f0e-4c53-9d5a-3a1de0c4a1f2"],
    ),
]
CURL: dict[str, Any] = {
    "x-curl": 'curl -H \'Content-Type: application/json\' -d \'{"items": [{"id": 17, "image_hash": '
    "\"81fcd33a048ebedc8dfaf33c0ed95f2f42397c486039240dbe3a662ec97f5498\"}]}' '{origin}/v1/erasures'\n"
    "curl -H 'Content-Type: application/json' -d '{\"item_ids\": [17, 42]}' '{origin}/v1/erasures'"
}


class ReceiptParams(GalleryParams):
    """Parameters of lists of receipts."""

    before: int | None = Field(None, ge=1, le=MAX_ID, description="only receipts with a smaller seq")
    limit: int = Field(100, ge=1, le=1000, description="maximum number of receipts")


@router.post(
    "/v1/erasures",
    status_code=202,
    summary="Erase items",
    response_model=ReceiptBody,
    response_description="the items are in no answer any more; `purged_at` is the time when they are in no file",
    responses={202: {"links": links_of_receipt("$response.body#/id")}, **problems(400, 404, 409, 413, 415, 422, 507)},
    openapi_extra=CURL,
)
async def erase_items(
    request: Request,
    params: Annotated[GalleryParams, Query()],
    body: ErasureRequest,
    principal: Annotated[Principal, Depends(require("write", "erase", unrestricted=True))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> Response:
    """Erase all these items: search by an image, let a human confirm the matches, and send those.

    Name a match by its `id` and `image_hash` in `items`: 409 `image-mismatch`, and nothing is erased, if one of them
    has another image in this gallery. Items that do not exist any more are skipped; 404 if none exists.
    """
    gallery = galleries.get(params.gallery)
    receipt = await threads.run(lambda: _erase(gallery, body, principal))
    note_items(request, receipt.item_ids)
    return await threads.json(lambda: ReceiptBody.of(receipt, gallery.name), 202)


@router.get(
    "/v1/erasures",
    summary="List erasures",
    response_model=ReceiptPage,
    response_description="newest first",
    responses={200: {"links": links_of_receipt("$response.body#/erasures/0/id")}, **problems(404, 422)},
    dependencies=[Depends(require("admin", "erasures", unrestricted=True))],
)
async def list_erasures(
    params: Annotated[ReceiptParams, Query()], galleries: GalleriesDep, threads: ThreadsDep
) -> Response:
    """List the receipts of a gallery in their current state. Give `next_before` of one page as `before` of the next."""
    gallery = galleries.get(params.gallery)

    def page() -> ReceiptPage:
        found = gallery.receipts(before=params.before, limit=params.limit + 1)
        receipts = found[: params.limit]
        return ReceiptPage(
            erasures=[ReceiptBody.of(receipt, gallery.name) for receipt in receipts],
            next_before=receipts[-1].seq if len(found) > len(receipts) else None,
        )

    return await threads.json_page(page)


@router.get(
    "/v1/erasures/{erasure_id}",
    summary="One erasure",
    response_model=ReceiptBody,
    response_description="the receipt",
    responses=problems(404, 422),
    dependencies=[Depends(require("write", "erasures", unrestricted=True))],
)
async def get_erasure(
    erasure_id: ErasureId, params: Annotated[GalleryParams, Query()], galleries: GalleriesDep, threads: ThreadsDep
) -> Response:
    """Return the receipt in its current state: `purged_at` is set once no file of the gallery holds the items."""
    gallery = galleries.get(params.gallery)
    return await threads.json_page(lambda: ReceiptBody.of(gallery.receipt(erasure_id), gallery.name))


def _erase(gallery: Gallery, body: ErasureRequest, principal: Principal) -> Receipt:
    expected = [(item.id, item.image_hash) for item in body.items]
    return gallery.erase(body.ids, expected=expected, reason=body.reason, requested_by=principal.name)


PersonId = Annotated[Named, Path(description="the label", examples=["0002"])]


@router.delete(
    "/v1/persons/{person_id:path}",  # a label may hold a slash
    status_code=202,
    summary="Erase a person",
    response_description="the items are in no answer any more; `purged_at` is the time when they are in no file",
    responses={202: {"links": links_of_receipt("$response.body#/id")}, **problems(404, 409, 422, 507)},
)
async def erase_person(
    request: Request,
    person_id: PersonId,
    params: Annotated[GalleryParams, Query()],
    principal: Annotated[Principal, Depends(require("write", "erase-person", unrestricted=True))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> ReceiptBody:
    """Erase all items with this label. Find items without it by a search, and erase them by their ids."""
    gallery = galleries.get(params.gallery)
    receipt = await threads.run(lambda: _erase_person(gallery, person_id, principal))
    note_items(request, receipt.item_ids)
    return ReceiptBody.of(receipt, gallery.name)


def _erase_person(gallery: Gallery, person_id: str, principal: Principal) -> Receipt:
    ids = gallery.ids(Filter(person_id=person_id))
    if not ids:
        raise PersonNotFound(f"no item in gallery {gallery.name!r} has the person_id {person_id!r}")
    return gallery.erase(ids, requested_by=principal.name)
