"""The limit on the size of a body."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.errors import TooLarge

MAX_DIGITS = 18  # of a Content-Length; a longer one is too large without being converted


class BodySizeLimitMiddleware:
    """Refuses a body over `max_bytes`, or `max_json_bytes` for JSON, by its Content-Length and by what arrives."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_json_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_json_bytes = max_json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and (len(announced) > MAX_DIGITS or int(announced) > limit)
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            if too_large:
                raise _too_large(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, receive_limited, send)

    def _limit_of(self, scope: Scope) -> int:
        # JSON is parsed as a whole and costs many times its size; images do not.
        is_json = getattr(scope.get("route"), "body_field", None) is not None
        return min(self.max_bytes, self.max_json_bytes) if is_json else self.max_bytes


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body exceeds the limit of {limit:,} bytes; send less at once")
