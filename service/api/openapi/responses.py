"""Responses of routes in the API's description: links to other operations, and errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from vitreid.service.access.errors import Forbidden, RateLimited, Unauthorized
from vitreid.service.api.problems import MEDIA_TYPE, problem_of
from vitreid.service.errors import (
    BadImage,
    DeadlineExceeded,
    NotReady,
    RequestError,
    RequestTimeout,
    ServiceError,
    TooLarge,
    UnsupportedMedia,
)
from vitreid.service.gallery.errors import BundleMismatch, GalleryFull, ItemNotFound

GALLERY = "$request.query.gallery"
"""Expression for the gallery of the request."""


def link(
    operation: str, description: str, parameters: dict[str, str], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A link to an operation like `GET /v1/items/{item_id}`, its parameters and body taken from the answer."""
    method, path = operation.split()
    found: dict[str, Any] = {
        "operationRef": f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method.lower()}",
        "description": description,
        "parameters": parameters,
    }
    return found if body is None else {**found, "requestBody": body}


def links_of_item(item_id: str) -> dict[str, Any]:
    """Links to the operations on an item; `item_id` is the expression for its id in the answer."""
    to = {"item_id": item_id, "gallery": GALLERY}
    return {
        "item": link("GET /v1/items/{item_id}", "read it", to),
        "image": link("GET /v1/items/{item_id}/image", "its image", to),
        "label": link("PATCH /v1/items/{item_id}", "change its labels", to),
        "candidates": link("POST /v1/query/{item_id}", "find similar items", to),
        "erasure": link("POST /v1/erasures", "erase it, with a receipt", {"gallery": GALLERY}, {"item_ids": [item_id]}),
        "deletion": link("DELETE /v1/items/{item_id}", "delete it", to),
    }


def links_of_receipt(erasure_id: str) -> dict[str, Any]:
    """Links to the receipt of an erasure."""
    to = {"erasure_id": erasure_id, "gallery": GALLERY}
    return {"receipt": link("GET /v1/erasures/{erasure_id}", "its current state", to)}


def links_of_gallery(name: str) -> dict[str, Any]:
    """Links to the operations on a gallery."""
    return {
        "items": link("GET /v1/items", "list its items", {"gallery": name}),
        "addition": link("POST /v1/items", "add images to it", {"gallery": name}),
        "cameras": link("GET /v1/galleries/{name}/cameras", "its cameras", {"name": name}),
        "mapping": link("PUT /v1/galleries/{name}/cameras", "map its cameras", {"name": name}),
        "drop": link("DELETE /v1/galleries/{name}", "drop it", {"name": name}),
    }


SCHEMA = {"$ref": "#/components/schemas/Problem"}
_MEANING = {
    400: "the body cannot be read",
    401: "no valid key was given",
    403: "the key does not allow it, or a page of another site sent the request",
    408: "the body came too slowly",
    404: "no such gallery or item",
    409: "the gallery has embeddings of another model now; an item has another image than the one "
    "given; or the gallery `default` cannot be dropped",
    413: "the body is too large",
    415: "the type of the body is not supported, or the body is compressed",
    422: "a value is not allowed, or an image cannot be read or embedded",
    429: "too many requests of one key or address",
    503: "not ready, or the queue is full",
    504: "the answer would have come too late; changes made by then persist",
    507: "the disk is full; acknowledged changes persist",
}
_EXAMPLES: dict[int, tuple[type[ServiceError], str]] = {
    kind.status: (kind, detail)
    for kind, detail in (
        (RequestError, "There was an error parsing the body"),
        (Unauthorized, "an API key is needed: send it as `Authorization: Bearer vitreid_...` or `X-API-Key`"),
        (Forbidden, "this needs the scope 'write'; key 'gate' has read"),
        (ItemNotFound, "no item 17 in this gallery; `GET /v1/items` lists those that are there"),
        (
            BundleMismatch,
            "the gallery was embedded again (generation 2, this process opened 1); open it again with the bundle of "
            "the new generation",
        ),
        (TooLarge, "the body exceeds the limit of 33,554,432 bytes; send less at once"),
        (RequestTimeout, "the body did not arrive within 60 s; send less, or faster"),
        (UnsupportedMedia, "the body is 'text/plain'; send multipart/form-data with one or more files in `images`"),
        (BadImage, "a.jpg: is not an image in JPEG, PNG, WEBP"),
        (RateLimited, "rate limit exceeded for key 'gate'; retry in 1.4 s"),
        (NotReady, "the gallery default is still being loaded; ask /readyz and try again"),
        (DeadlineExceeded, "no answer within 30 s; try again later, or with less at once"),
        (GalleryFull, "No space is left for another row."),
    )
}
_AGAIN = {
    "Retry-After": {
        "description": "seconds after which the same request may succeed",
        "schema": {"type": "integer", "minimum": 1},
    }
}
EVERYWHERE = (401, 403, 429, 503, 504)
"""Statuses that every route under /v1 may answer."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route under /v1 for its problems: these statuses and those of EVERYWHERE."""
    slow = {408} if 413 in statuses else set()  # where a body is read
    return {status: problem(status) for status in sorted({*statuses, *EVERYWHERE, *slow})}


def problem(status: int) -> dict[str, Any]:
    """Describe one status that comes with a problem."""
    kind, detail = _EXAMPLES[status]
    example = problem_of(kind.slug, kind.status, detail).model_dump(exclude_none=True)
    described: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {_MEANING[status]}",
        "content": {MEDIA_TYPE: {"schema": SCHEMA, "example": example}},
    }
    return described | ({"headers": _AGAIN} if status in {429, 503, 504} else {})
