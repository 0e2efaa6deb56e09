"""The prefix under which a proxy publishes the service."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPathMiddleware:
    """Sets the ASGI root_path, whether the proxy removed the prefix from the path or not."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            scope["root_path"] = self.prefix
            if not scope["path"].startswith(f"{self.prefix}/"):
                scope["path"] = self.prefix + scope["path"]  # ASGI: the path begins with the prefix
        await self.app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the path without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
