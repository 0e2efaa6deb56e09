"""The API's description: the introduction, and the scope that each route needs."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from vitreid.service.api.authorization import Authorization, authorization_of
from vitreid.service.api.schemas.common import NOTE

INTRODUCTION = f"""Given an image of a person, find similar images, likely of the same person, in a gallery.

{NOTE}

From the first API key on (`vitreid keys create`), every route under /v1 and /metrics needs one:
`Authorization: Bearer vitreid_...` or `X-API-Key: vitreid_...`. Without keys, every
caller may do everything.

Errors are `application/problem+json` (RFC 9457); their `type` is stable. Every answer has an `X-Request-ID`, the
request's own where it sent one, which stands in the log and in the audit log too.
"""
TAGS = [
    {"name": "query", "description": "Find candidates."},
    {"name": "items", "description": "The images in a gallery."},
    {"name": "galleries", "description": "The galleries with their settings and cameras."},
    {"name": "erasure", "description": "Erase persons and items permanently, with a receipt."},
    {"name": "system", "description": "Information, health, metrics and the audit log."},
]
SERVERS = [{"url": "/", "description": "the service that gave this description"}]
LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
UNLIMITED = "x-unlimited-key"
"""Set where a key that is limited to galleries or cameras is refused."""


class Described(FastAPI):
    """An application whose description has the scope that a key needs, as the role of its security schemes."""

    def openapi(self) -> dict[str, Any]:
        """Return the description, made once."""
        if self.openapi_schema is None:
            described = super().openapi()
            for route in self.state.api_routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _secure(described["paths"][route.path_format][method.lower()], authorization_of(route))
        return super().openapi()


def _secure(operation: dict[str, Any], authorization: Authorization | None) -> None:
    if authorization is None:
        operation["security"] = []  # explicit, so that no client sends a key
        return
    operation["security"] = [{name: [authorization.scope] for name in choice} for choice in operation["security"]]
    if authorization.unrestricted:
        operation[UNLIMITED] = True
