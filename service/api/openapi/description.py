"""What the API says about itself: the words before its routes, and which key each of them asks for."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from vitreid.service.api.authorization import Authorization, authorization_of
from vitreid.service.api.schemas.common import NOTE

INTRODUCTION = f"""Given an image of a person, find the images that look like the same person in a gallery.

{NOTE}

From the first API key on (`vitreid keys create`), every route under /v1 and /metrics needs one:
`Authorization: Bearer vitreid_...` or `X-API-Key: vitreid_...`. Before, everybody who reaches it may do everything.

Errors are `application/problem+json` (RFC 9457); their `type` is stable. Every answer has an `X-Request-ID`, the
request's own where it sent one, which stands in the log and in the audit log too.
"""
TAGS = [
    {"name": "query", "description": "Find candidates."},
    {"name": "items", "description": "The images in a gallery."},
    {"name": "galleries", "description": "The galleries, and what an operator decides about each."},
    {"name": "erasure", "description": "Take persons and items out for good, with a receipt."},
    {"name": "system", "description": "What is running, and whether it can answer."},
]
SERVERS = [{"url": "/", "description": "the service that gave this description"}]
LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
UNLIMITED = "x-unlimited-key"
"""Set where a key that is limited to galleries or cameras is refused."""


class Described(FastAPI):
    """An application whose description tells the scope that a key needs, as the role of its security schemes."""

    def openapi(self) -> dict[str, Any]:
        """The description; made once."""
        if self.openapi_schema is None:
            described = super().openapi()
            for route in self.state.api_routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _secure(described["paths"][route.path_format][method.lower()], authorization_of(route))
        return super().openapi()


def _secure(operation: dict[str, Any], authorization: Authorization | None) -> None:
    if authorization is None:
        operation["security"] = []  # said, so that no client sends a key
        return
    operation["security"] = [{name: [authorization.scope] for name in choice} for choice in operation["security"]]
    if authorization.unrestricted:
        operation[UNLIMITED] = True
