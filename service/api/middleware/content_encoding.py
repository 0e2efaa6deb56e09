"""Compressed bodies, which are refused."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.problems import problem_of, respond
from vitreid.service.errors import UnsupportedMedia

PLAIN = frozenset({"", "identity"})
MAX_SHOWN = 40


class ContentEncodingMiddleware:
    """Refuses a body with a Content-Encoding before a byte of it is read.

    Its real size is known only after unpacking, and images do not get smaller by it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        coding = Headers(scope=scope).get("content-encoding", "").strip() if scope["type"] == "http" else ""
        if coding.lower() in PLAIN:
            await self.app(scope, receive, send)
            return
        problem = problem_of(
            UnsupportedMedia.slug,
            UnsupportedMedia.status,
            f"the body has the Content-Encoding {coding[:MAX_SHOWN]!r}; send it without one",
        )
        accepted = {"accept-encoding": "identity"}  # RFC 9110, 12.5.3
        await respond(Request(scope), problem, accepted)(scope, receive, send)
