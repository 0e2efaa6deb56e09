"""Every answer of a guarded route is in the audit log before it is sent."""

from __future__ import annotations

import logging
from http import HTTPStatus

import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.access.access import Access
from vitreid.service.access.audit import OTHER, Entry
from vitreid.service.access.errors import AccessUnusable
from vitreid.service.api.problems import problem_of, respond

REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
CLIENT_LEFT = 499
logger = logging.getLogger("vitreid")


class AuditMiddleware:
    """Writes the row that the guard began, with the status of the answer.

    Where the row cannot be written, the client gets that as a problem and not what it asked for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        replaced = False

        async def recorded(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                try:
                    await _record(scope, message["status"])
                except AccessUnusable as error:
                    logger.error("%s", error)
                    replaced = True
                    problem = problem_of(error.slug, error.status, "the audit log cannot be written; the log says why")
                    await respond(Request(scope), problem, error.headers)(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await self.app(scope, receive, recorded)
            await _record(scope, CLIENT_LEFT)  # what was not recorded yet has no answer: nobody waits for one
        except Exception:  # whatever breaks is answered outside of here with a 500, and passed on as it is
            await _record(scope, HTTPStatus.INTERNAL_SERVER_ERROR)
            raise


async def _record(scope: Scope, status: int) -> None:
    entry: Entry | None = scope.get("state", {}).pop("audit", None)
    if entry is not None:  # without one the route is open to all, or the service still starts
        entry.status = status
        await anyio.to_thread.run_sync(_conclude, scope["app"].state.service.access, entry, _asker(scope, entry))


def _conclude(access: Access, entry: Entry, asker: str) -> None:
    # Who asks too often gets a row a second, or the log would be what overflows.
    dropped = entry.status == HTTPStatus.TOO_MANY_REQUESTS and access.noted.take(asker)
    if not dropped and (entry.action != OTHER or entry.status in REFUSED):
        access.audit.record(entry)
    if entry.key_id is not None:
        access.audit.note_use(entry.key_id)


def _asker(scope: Scope, entry: Entry) -> str:
    return entry.key_id or (scope["client"][0] if scope.get("client") else "unknown")
