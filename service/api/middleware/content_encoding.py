"""Bodies are taken as they are: a compressed one is refused before a byte of it is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.problems import problem_of, respond
from vitreid.service.errors import UnsupportedMedia

PLAIN = frozenset({"", "identity"})
LONGEST_SHOWN = 40


class PlainBodies:
    """Refuses a body with a Content-Encoding.

    What it unfolds to is known only when it is too late, and images get no smaller by it.
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
            f"the body has the Content-Encoding {coding[:LONGEST_SHOWN]!r}; send it without one, as it is",
        )
        accepted = {"accept-encoding": "identity"}  # RFC 9110, 12.5.3
        await respond(Request(scope), problem, accepted)(scope, receive, send)
