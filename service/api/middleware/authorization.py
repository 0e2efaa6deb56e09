"""Authorization, before a byte of the request's body is read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.authorization import Authorization
from vitreid.service.api.dependencies import service_of
from vitreid.service.api.problems import refuse
from vitreid.service.errors import ServiceError


class AuthorizationMiddleware:
    """Admits the caller to the route, or answers 401, 403 or 429."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        authorization: Authorization | None = scope.get("state", {}).get("authorization")
        if scope["type"] == "http" and authorization is not None:
            request = Request(scope)
            try:
                authorization.admit(request, service_of(request).access)
            except ServiceError as error:
                await refuse(request, error)(scope, receive, send)
                return
        await self.app(scope, receive, send)
