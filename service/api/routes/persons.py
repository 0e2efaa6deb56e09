"""/v1/persons: erase everything that carries a person's label."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import GalleriesDep, ThreadsDep
from vitreid.service.api.middleware.audit import note_items
from vitreid.service.api.openapi.links import links_of_receipt
from vitreid.service.api.openapi.problems import problems
from vitreid.service.api.routes.erasures import ErasureParams
from vitreid.service.api.schemas.erasures import ReceiptBody
from vitreid.service.gallery import Filter, Gallery
from vitreid.service.gallery.errors import PersonNotFound
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.values.fields import Named

router = APIRouter(prefix="/v1/persons", tags=["erasure"])

PersonId = Annotated[Named, Path(description="the label", examples=["0002"])]


@router.delete(
    "/{person_id:path}",  # a label may hold a slash
    status_code=202,
    summary="Erase a person",
    response_description="the items are gone from every answer; `purged_at` says when they are gone from every file",
    responses={202: {"links": links_of_receipt("$response.body#/id")}, **problems(404, 409, 422, 507)},
)
async def erase_person(
    request: Request,
    person_id: PersonId,
    params: Annotated[ErasureParams, Query()],
    principal: Annotated[Principal, Depends(require("write", "erase-person", unrestricted=True))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> ReceiptBody:
    """One erasure of all items with this label. Items without it are found by a search, and erased by their ids."""
    gallery = galleries.get(params.gallery)
    receipt = await threads.run(lambda: _erase(gallery, person_id, principal))
    note_items(request, receipt.item_ids)
    return ReceiptBody.of(receipt, gallery.name)


def _erase(gallery: Gallery, person_id: str, principal: Principal) -> Receipt:
    ids = gallery.ids(Filter(person_id=person_id))
    if not ids:
        raise PersonNotFound(f"no item in gallery {gallery.name!r} has the person_id {person_id!r}")
    return gallery.erase(ids, requested_by=principal.name)
