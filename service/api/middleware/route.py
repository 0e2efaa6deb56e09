"""The route of a request, found before its body is read."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.authorization import authorization_of


class RouteMiddleware:
    """Puts the route and what it requires (`state["authorization"]`, None: nothing) into the scope."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self.routes = [(route, authorization_of(route)) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            self._find(scope)
        await self.app(scope, receive, send)

    def _find(self, scope: Scope) -> None:
        state = scope.setdefault("state", {})
        state["authorization"] = None
        for route, authorization in self.routes:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope)  # as the router does it later: refused requests are logged by route, too
                state["authorization"] = authorization
                return
