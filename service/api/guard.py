"""What a route asks of its caller: `principal: Annotated[Principal, Depends(needs("read", "query"))]`.

api.middleware.gate admits the caller before the body is read; the dependency only hands on whom it admitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from vitreid.service.access.audit import OTHER, Entry
from vitreid.service.access.errors import RateLimited, Unauthorized
from vitreid.service.access.principal import Principal, Scope
from vitreid.service.api.dependencies import service_of
from vitreid.service.api.schemas.common import MAX_ID
from vitreid.service.config import DEFAULT_GALLERY

LONGEST_NAME = 128  # of what a refused request calls a gallery or person; others were validated
Reach = Literal["gallery", "everything", "service", "own"]
ABOUT_A_GALLERY: frozenset[Reach] = frozenset({"gallery", "everything"})
FOR_UNLIMITED: frozenset[Reach] = frozenset({"everything", "service"})

_BEARER = HTTPBearer(scheme_name="bearer", description="an API key", auto_error=False)
_HEADER = APIKeyHeader(name="X-API-Key", scheme_name="header", description="an API key", auto_error=False)


@dataclass(frozen=True)
class Guard:
    """A dependency that lets only callers with this scope in, and gives the route their Principal."""

    scope: Scope
    action: str | None
    reach: Reach

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],  # both for the description alone
        header: Annotated[str | None, Security(_HEADER)],
    ) -> Principal:
        """Whom the gate admitted by what this guard asks; anything else is a mistake of ours."""
        guard, principal = request.state.admitted
        if guard != self:
            raise RuntimeError("the gate admitted the caller of another route")
        admitted: Principal = principal
        return admitted

    def begin(self, request: Request) -> None:
        """Begin the row of this request in the audit log. Raises NotReady."""
        access = service_of(request).access
        request.state.audit = _entry(request, self.action, self._galleries(request), log_address=access.log_addresses)

    def admit(self, request: Request) -> None:
        """Find out who asks and whether they may. Raises Unauthorized, RateLimited, Forbidden, AccessUnusable."""
        access = service_of(request).access
        address = address_of(request)
        principal = access.authenticate(_key_of(request), address)
        request.state.audit.by(principal)
        request.state.key_id = principal.key_id
        access.check_rate(principal, address)
        principal.check_scope(self.scope)
        for gallery in self._galleries(request):
            principal.check_gallery(gallery)
        if self.reach in FOR_UNLIMITED:
            principal.check_unlimited()
        request.state.admitted = (self, principal)

    def _galleries(self, request: Request) -> list[str]:
        return _galleries_of(request) or ([DEFAULT_GALLERY] if self.reach in ABOUT_A_GALLERY else [])


def guard_of(route: object) -> Guard | None:
    """The guard of a route; None where it is open to all."""
    if not isinstance(route, APIRoute):
        return None
    return next((each.call for each in route.dependant.dependencies if isinstance(each.call, Guard)), None)


def needs(scope: Scope, action: str | None = None, *, reach: Reach = "gallery") -> Guard:
    """What a route asks for.

    `action` is what the audit log calls the request; without one only refusals are recorded.

    `reach` says what the route is about: one `gallery` (of the address, or the default one), which the key must be
    for; `everything` in it, or the `service` as a whole, both for keys without limits; or whatever is the key's
    `own`, which the route itself sees to.
    """
    return Guard(scope, action, reach)


async def known(request: Request) -> Principal | None:
    """Who asks a route that is open to all; None for somebody without a valid key."""
    access = service_of(request).access
    key = _key_of(request)
    if key is None and not access.open_to_all:
        return None  # a probe without a key is no failed attempt
    try:
        return access.authenticate(key, address_of(request))
    except (Unauthorized, RateLimited):
        return None


def note(request: Request, *, items: Iterable[int] = (), person_id: str | None = None) -> None:
    """Add to the audit log's row of this request which items it is about, or which label was asked for."""
    entry: Entry = request.state.audit
    entry.items.extend(items)
    entry.person_id = person_id or entry.person_id


def address_of(request: Request) -> str:
    """The client's address, as the server or a trusted proxy tells it."""
    return request.client.host if request.client else "unknown"


def _key_of(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else None
    return bearer or request.headers.get("x-api-key")


def _entry(request: Request, action: str | None, galleries: Sequence[str], *, log_address: bool) -> Entry:
    """The row of this request, with all that its address tells."""
    item_id = str(request.path_params.get("item_id", ""))
    person_id = request.query_params.get("person_id")  # not of the path: there it names whom to forget
    return Entry(
        action=action or OTHER,
        name="unknown",
        request_id=getattr(request.state, "request_id", None),
        address=address_of(request) if log_address else None,
        gallery=galleries[-1][:LONGEST_NAME] if galleries else None,
        items=[int(item_id)] if item_id.isdecimal() and len(item_id) <= len(str(MAX_ID)) else [],
        person_id=None if person_id is None else person_id[:LONGEST_NAME],
    )


def _galleries_of(request: Request) -> list[str]:
    """The galleries that the address names, nearly always one: all are checked, whichever the route would take."""
    name = request.path_params.get("name")
    return [name] if name is not None else request.query_params.getlist("gallery")
