"""The audit log: every answer of a route that requires authorization is recorded before it is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus

import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.access.access import Access
from vitreid.service.access.audit import OTHER, Entry
from vitreid.service.access.errors import AccessUnusable
from vitreid.service.api.authorization import Authorization, client_address
from vitreid.service.api.dependencies import service_of
from vitreid.service.api.problems import headers_of, problem_of, refuse, respond
from vitreid.service.errors import NotReady
from vitreid.service.values.fields import MAX_ID

REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
CLIENT_LEFT = 499
MAX_NAME = 128  # of a gallery or person in a refused request; in others they were validated
logger = logging.getLogger("vitreid")


class AuditMiddleware:
    """Begins a row of the audit log, and records it with the status of the answer.

    Where the row cannot be written, the client gets that problem instead of the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        authorization: Authorization | None = scope.get("state", {}).get("authorization")
        if authorization is None:  # open to all
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            access = service_of(request).access
        except NotReady as error:
            await refuse(request, error)(scope, receive, send)
            return
        entry = request.state.audit = _entry(request, authorization, log_address=access.log_addresses)
        recorded = replaced = False

        async def record(status: int) -> None:
            nonlocal recorded
            if not recorded:
                recorded = True
                entry.status = status
                await anyio.to_thread.run_sync(_record, access, entry, entry.key_id or client_address(request))

        async def record_and_send(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                try:
                    await record(message["status"])
                except AccessUnusable as error:
                    logger.error("%s", error)
                    replaced = True
                    problem = problem_of(error.slug, error.status, "the audit log cannot be written; see the log")
                    await respond(request, problem, headers_of(error))(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await self.app(scope, receive, record_and_send)
            await record(CLIENT_LEFT)  # no answer was begun: the client is gone
        except Exception:  # answered with a 500 by the outermost layer
            await record(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise


def note_items(request: Request, items: Iterable[int]) -> None:
    """Add items to the audit row of this request."""
    entry: Entry = request.state.audit
    entry.items.extend(items)


def _entry(request: Request, authorization: Authorization, *, log_address: bool) -> Entry:
    """Begin the row of this request from its address."""
    galleries = authorization.galleries(request)
    item_id = str(request.path_params.get("item_id", ""))
    person_id = request.query_params.get("person_id")  # not of the path: there it names whom to forget
    return Entry(
        action=authorization.action or OTHER,
        name="unknown",
        request_id=getattr(request.state, "request_id", None),
        address=client_address(request) if log_address else None,
        gallery=galleries[-1][:MAX_NAME] if galleries else None,
        items=[int(item_id)] if item_id.isdecimal() and len(item_id) <= len(str(MAX_ID)) else [],
        person_id=None if person_id is None else person_id[:MAX_NAME],
    )


def _record(access: Access, entry: Entry, caller: str) -> None:
    # A caller over the rate limit gets at most one row a second, or the log itself would overflow.
    dropped = entry.status == HTTPStatus.TOO_MANY_REQUESTS and access.noted.take(caller)
    if not dropped and (entry.action != OTHER or entry.status in REFUSED):
        access.audit.record(entry)
    if entry.key_id is not None:
        access.audit.note_use(entry.key_id)
