"""What stands around every request: a cap on its body, the headers of its answer, and who may ask for changes."""

from __future__ import annotations

import re
from collections.abc import Collection
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import RequestError, TooLarge

REQUEST_ID = "x-request-id"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class CrossSite(RequestError):
    """A page of another site tried to change something."""

    slug = "cross-site"
    status = 403


class BodyCap:
    """Refuses a body over `limit` bytes, by what it announces and by what really arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and int(announced) > self.limit
        received = 0

        async def counted() -> Message:
            nonlocal received
            if too_large:
                raise _too_large(self.limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise _too_large(self.limit)
            return message

        await self.app(scope, counted, send)


class Envelope:
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
            await send(message)

        await self.app(scope, receive, dressed)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than the {limit:,} bytes allowed; send fewer or smaller pictures")


def refuse_cross_site(request: Request, allowed: Collection[str] = ()) -> None:
    """Refuse a change that a page of another site, of no `allowed` origin, asks for through the user's browser.

    Without access keys nothing else tells such a page from the user. Raises CrossSite.
    """
    if request.method in _SAFE_METHODS or request.headers.get("origin") in allowed:
        return
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise CrossSite("a page of another site asked for this; open the service's own page or use another client")
