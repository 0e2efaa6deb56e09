"""Requests that pages of other sites send through a user's browser."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.problems import refuse
from vitreid.service.errors import RequestError
from vitreid.service.values.addresses import origin_of

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_SITES = frozenset({"cross-site", "same-site"})  # "same-site" includes other ports and sibling hosts


class CrossSite(RequestError):
    """A page of another site sent the request."""

    slug = "cross-site"
    status = 403


class CrossSiteMiddleware:
    """Refuses requests of pages of other origins than the `allowed` ones.

    Without API keys nothing else distinguishes such a page from the user. Browsers leave Sec-Fetch-Site out on
    plain-http names and Origin out of most reads, so both are checked. A link to a page of ours may be followed.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str]) -> None:
        self.app = app
        self.allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            request = Request(scope)
            try:
                self._check(request)
            except CrossSite as error:
                await refuse(request, error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, request: Request) -> None:
        origins = set(request.headers.getlist("origin"))
        if origins and origins <= self.allowed:
            return
        open_read = request.method in _SAFE_METHODS and request.state.authorization is None
        if not open_read and not all(_is_own(origin, request) for origin in origins):
            raise CrossSite(
                f"the request comes from a page of {_listed(origins)}, and this is {_own(request)}; add the origin to "
                "VITREID_CORS_ORIGINS, or, where a proxy speaks https, name it in VITREID_TRUSTED_PROXIES"
            )
        followed_link = open_read and request.headers.get("sec-fetch-mode") == "navigate"
        if request.headers.get("sec-fetch-site") in _OTHER_SITES and not followed_link:
            raise CrossSite(
                "the request comes from a page of another site; open the service's own page, use another client, or "
                "add the page's origin to VITREID_CORS_ORIGINS"
            )


def _is_own(origin: str, request: Request) -> bool:
    own = origin_of(_own(request))
    return own is not None and origin_of(origin) == own


def _own(request: Request) -> str:
    return f"{request.scope['scheme']}://{request.headers.get('host', '')}"


def _listed(origins: Collection[str]) -> str:
    return ", ".join(sorted(origin[:100] for origin in origins))
