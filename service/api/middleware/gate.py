"""Who may not use a route hears so before a byte of the request's body is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.guard import Guard, guard_of
from vitreid.service.api.middleware.cross_site import refuse_cross_site
from vitreid.service.api.problems import refuse
from vitreid.service.errors import ServiceError


class Gate:
    """Lets a request through to its route where no other site sent it and the route's guard admits the caller.

    What was decided is kept for the guard itself, which answers nobody whom this gate did not admit.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], origins: Collection[str]) -> None:
        self.app = app
        self.routes = [(route, guard_of(route)) for route in routes]
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            try:
                self._admit(scope)
            except ServiceError as error:
                await refuse(Request(scope), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        guard = self._find(scope)
        request = Request(scope)
        if guard is not None:
            guard.begin(request)
        refuse_cross_site(request, self.origins, guarded=guard is not None)
        if guard is not None:
            guard.admit(request)

    def _find(self, scope: Scope) -> Guard | None:
        for route, guard in self.routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)  # as the router does it later: the log names the route of what is refused, too
                return guard
        return None
