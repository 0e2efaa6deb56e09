"""Requirements of routes on their callers: `principal: Annotated[Principal, Depends(require("read", "query"))]`.

AuthorizationMiddleware checks it before the body is read; the dependency only returns the Principal that was admitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from vitreid.service.access.access import Access
from vitreid.service.access.errors import RateLimited, Unauthorized
from vitreid.service.access.principal import Principal, Scope
from vitreid.service.api.dependencies import AccessDep
from vitreid.service.values.texts import DEFAULT_GALLERY

_BEARER = HTTPBearer(scheme_name="bearer", description="an API key", auto_error=False)
_HEADER = APIKeyHeader(name="X-API-Key", scheme_name="header", description="an API key", auto_error=False)


@dataclass(frozen=True)
class Authorization:
    """A dependency that admits callers with the scope and gives the route their Principal."""

    scope: Scope
    action: str | None
    gallery: bool
    unrestricted: bool

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],  # both for the description alone
        header: Annotated[str | None, Security(_HEADER)],
    ) -> Principal:
        """Return the caller that the middleware admitted to this route; anything else is a bug of ours."""
        authorization, principal = request.state.admitted
        if authorization != self:
            raise RuntimeError("the middleware admitted the caller of another route")
        admitted: Principal = principal
        return admitted

    def admit(self, request: Request, access: Access) -> Principal:
        """Authenticate the caller and check what the route requires.

        Raises Unauthorized, RateLimited, Forbidden, AccessUnusable.
        """
        address = client_address(request)
        principal = access.authenticate(_key_of(request), address)
        request.state.audit.by(principal)
        request.state.key_id = principal.key_id
        access.check_rate(principal, address)
        principal.check_scope(self.scope)
        for gallery in self.galleries(request):
            principal.check_gallery(gallery)
        if self.unrestricted:
            principal.check_unlimited()
        request.state.admitted = (self, principal)
        return principal

    def galleries(self, request: Request) -> list[str]:
        """Return the galleries in the address, nearly always one; all are checked, whichever the route uses."""
        name = request.path_params.get("name")
        named = request.query_params.getlist("gallery") if name is None else [name]
        return named or ([DEFAULT_GALLERY] if self.gallery else [])


def require(
    scope: Scope, action: str | None = None, *, gallery: bool = True, unrestricted: bool = False
) -> Authorization:
    """Require a scope of the caller.

    `action` names the request in the audit log; without one only refusals are recorded. With `gallery` the route
    concerns a gallery (of the address, or the default one), which the key must allow. `unrestricted` refuses keys that
    are limited to galleries or cameras.
    """
    return Authorization(scope, action, gallery, unrestricted)


def authorization_of(route: object) -> Authorization | None:
    """Return what a route requires; None where it is open to all."""
    if not isinstance(route, APIRoute):
        return None
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return next((call for call in calls if isinstance(call, Authorization)), None)


async def optional_principal(request: Request, access: AccessDep) -> Principal | None:
    """Return the caller of a route that is open to all; None without a valid key."""
    key = _key_of(request)
    if key is None and not access.open_to_all:
        return None  # a probe without a key is no failed attempt
    try:
        return access.authenticate(key, client_address(request))
    except (Unauthorized, RateLimited):
        return None


def client_address(request: Request) -> str:
    """Return the client's address, from the connection or from a trusted proxy."""
    return request.client.host if request.client else "unknown"


def _key_of(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else None
    return bearer or request.headers.get("x-api-key")
