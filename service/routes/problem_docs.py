"""How the API's description shows the errors of a route."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.problems import MEDIA_TYPE

SCHEMA = {"$ref": "#/components/schemas/Problem"}
_MEANING = {
    400: "the form cannot be read",
    401: "no key was given, or none that is valid",
    403: "the key does not allow it, or a page of another site asked for a change",
    404: "no such gallery or item",
    409: "what is there stands against it",
    413: "the body is too large",
    415: "the body is of a type that is not taken",
    422: "a value is outside of what is allowed, or the picture cannot be read or embedded",
    429: "too many requests of one key or address",
    503: "not ready, or more waits already than may wait",
    504: "the answer would have come too late; what a change did until then stays done",
    507: "the disk is full",
}
_AGAIN = {
    "Retry-After": {
        "description": "seconds until a repetition may succeed",
        "schema": {"type": "integer", "minimum": 1},
    }
}
EVERYWHERE = (401, 403, 429, 503, 504)
"""What every route under /v1 may answer."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route under /v1 that answers these statuses, and those of EVERYWHERE, with a problem."""
    return {status: problem(status) for status in sorted({*statuses, *EVERYWHERE})}


def problem(status: int) -> dict[str, Any]:
    """How one status that comes with a problem is described."""
    described: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {_MEANING[status]}",
        "content": {MEDIA_TYPE: {"schema": SCHEMA}},
    }
    return described | ({"headers": _AGAIN} if status in {429, 503, 504} else {})
