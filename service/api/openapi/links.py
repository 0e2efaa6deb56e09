"""Where an answer leads: links of the API's description (OpenAPI's Link Objects), for clients and for tests."""

from __future__ import annotations

from typing import Any

GALLERY = "$request.query.gallery"
"""The one that was asked for."""


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
    """What can be done with an item; `item_id` says where in the answer its id stands."""
    to = {"item_id": item_id, "gallery": GALLERY}
    return {
        "item": link("GET /v1/items/{item_id}", "look at it", to),
        "image": link("GET /v1/items/{item_id}/image", "its image", to),
        "label": link("PATCH /v1/items/{item_id}", "change its labels", to),
        "candidates": link("POST /v1/query/{item_id}", "what looks like it", to),
        "erasure": link("POST /v1/erasures", "erase it, with a receipt", {"gallery": GALLERY}, {"item_ids": [item_id]}),
        "deletion": link("DELETE /v1/items/{item_id}", "take it out", to),
    }


def links_of_receipt(erasure_id: str) -> dict[str, Any]:
    """How far an erasure is."""
    to = {"erasure_id": erasure_id, "gallery": GALLERY}
    return {"receipt": link("GET /v1/erasures/{erasure_id}", "as it is later", to)}


def links_of_gallery(name: str) -> dict[str, Any]:
    """What can be done with a gallery."""
    return {
        "items": link("GET /v1/items", "what is in it", {"gallery": name}),
        "addition": link("POST /v1/items", "add images to it", {"gallery": name}),
        "cameras": link("GET /v1/galleries/{name}/cameras", "its cameras", {"name": name}),
        "mapping": link("PUT /v1/galleries/{name}/cameras", "map its cameras", {"name": name}),
        "drop": link("DELETE /v1/galleries/{name}", "drop it", {"name": name}),
    }
