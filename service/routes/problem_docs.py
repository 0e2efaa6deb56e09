"""How the API's description shows the errors of a route."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.problems import MEDIA_TYPE

SCHEMA = {"$ref": "#/components/schemas/Problem"}
_MEANING = {
    400: "the form cannot be read",
    403: "a page of another site asked for a change",
    404: "no such gallery or item",
    413: "the body is too large",
    415: "the body is of a type that is not taken",
    422: "a value is outside of what is allowed, or the picture cannot be read",
    503: "not ready",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers these statuses with a problem."""
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {_MEANING[status]}",
            "content": {MEDIA_TYPE: {"schema": SCHEMA}},
        }
        for status in statuses
    }
