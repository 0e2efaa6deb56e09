"""Headers that restrict what a browser does with an answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.api.middleware.root_path import path_of

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",  # does not apply to CORS requests (VITREID_CORS_ORIGINS)
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
PRIVATE_PATHS = ("/v1/", "/metrics")
"""Answers about persons, which no cache may store: what is erased must be gone."""


class SecurityHeadersMiddleware:
    """Adds SECURITY_HEADERS, and `no-store` to answers under PRIVATE_PATHS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if "no-store" not in headers.get("cache-control", "") and path_of(scope).startswith(PRIVATE_PATHS):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers)
