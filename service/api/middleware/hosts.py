"""The hosts that are served; other names are refused before anything else."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vitreid.service.api.problems import refuse
from vitreid.service.errors import RequestError
from vitreid.service.values.addresses import address_of, is_loopback, split_netloc

REMEDY = "open it by an address of this machine, or name the host in VITREID_ALLOWED_HOSTS"


class Misdirected(RequestError):
    """The Host header names a host that is not this service."""

    slug = "misdirected-request"
    status = 421


class HostMiddleware:
    """Answers 421 to requests for other hosts than this machine's and the `names`.

    A page of another site reaches a service on 127.0.0.1 through a name of its own that resolves there (DNS
    rebinding); to the browser both are one site then, and the Host header is the only difference.
    An address that the connection itself was made to is no such name.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self.names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and (reason := self._fault(scope)) is not None:
            await refuse(Request(scope), Misdirected(f"{reason}; {REMEDY}"))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _fault(self, scope: Scope) -> str | None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1:
            return f"the request has {len(hosts)} Host headers; expected one"
        netloc = split_netloc(hosts[0])
        if netloc is None:
            return "the Host header is not a host with an optional port"
        host, _ = netloc
        if host in self.names or is_loopback(host) or self._is_own(host, scope):
            return None
        return f"host {host!r} is not served here"

    def _is_own(self, host: str, scope: Scope) -> bool:
        address = address_of(host)
        return address is not None and address == address_of((scope.get("server") or ("",))[0])
