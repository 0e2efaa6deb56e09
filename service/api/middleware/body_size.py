"""What stands around every request: a cap on its body, and the headers of its answer."""

from __future__ import annotations

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.api.middleware.root_path import path_of
from vitreid.service.errors import TooLarge

REQUEST_ID = "x-request-id"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST_NUMBER = 18
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",  # does not apply to CORS requests (VITREID_CORS_ORIGINS)
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class BodySizeLimitMiddleware:
    """Refuses a body over `limit` bytes, or `json_limit` where it is JSON, by what it announces and what arrives."""

    def __init__(self, app: ASGIApp, *, limit: int, json_limit: int) -> None:
        self.app = app
        self.limit = limit
        self.json_limit = json_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and (len(announced) > LONGEST_NUMBER or int(announced) > limit)
        received = 0

        async def counted() -> Message:
            nonlocal received
            if too_large:
                raise _too_large(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, counted, send)

    def _limit_of(self, scope: Scope) -> int:
        # What is parsed as a whole, on the way to a model, costs many times its size; images are not.
        is_json = getattr(scope.get("route"), "body_field", None) is not None
        return min(self.limit, self.json_limit) if is_json else self.limit


class ResponseHeadersMiddleware:
    """Gives each request an id, and each answer that id and the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if _ACCEPTED_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    answer.setdefault(name, value)
                if "no-store" not in answer.get("cache-control", "") and _is_private(scope):
                    answer["cache-control"] = "no-store"
            await send(message)

        await self.app(scope, receive, dressed)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than the {limit:,} bytes allowed; send less at once")


def _is_private(scope: Scope) -> bool:
    # Whatever tells of persons stays out of every cache: what is erased must be gone.
    return path_of(scope).startswith(("/v1/", "/metrics"))
