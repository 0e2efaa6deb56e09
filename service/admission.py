"""Which requests are let in, and how long somebody may wait for an answer."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError
from service.problems import problem_of, respond

API = "/v1/"


class Admission:
    """Lets at most `max_requests` into the API at a time, and ends one that is of no use any more.

    That is one whose answer has not begun `deadline_s` after the last of its body came, and one whose client went
    away while it waited. Ending is cancellation: what waits in a queue leaves it, what runs in a thread ends by itself.
    """

    def __init__(self, app: ASGIApp, *, deadline_s: float, max_requests: int) -> None:
        self.app = app
        self.deadline_s = deadline_s
        self.max_requests = max_requests
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self.app(scope, receive, send)
            return
        if self.under_way >= self.max_requests:
            full = QueueFull(f"{self.under_way} requests are under way, {self.max_requests} may be; try again")
            await _refuse(full, scope, receive, send)
            return
        self.under_way += 1
        try:
            await self._attend(scope, receive, send)
        finally:
            self.under_way -= 1

    async def _attend(self, scope: Scope, receive: Receive, send: Send) -> None:
        attended = _Attended(self.deadline_s, receive, send)
        refusal: ServiceError | None = None
        try:
            async with asyncio.timeout(self.deadline_s) as attended.timer:
                try:
                    await self.app(scope, attended.receive, attended.send)
                finally:
                    attended.end()
        except TimeoutError:
            if not attended.timer.expired():
                raise
            refusal = DeadlineExceeded(f"no answer within {self.deadline_s:g} s; try again later, or with less at once")
        except asyncio.CancelledError:  # by the server, that stops and has waited for long enough
            refusal = NotReady("the service is stopping")
        if refusal is not None and not attended.answering and not attended.left:
            await _refuse(refusal, scope, receive, send)


class _Attended:
    """One request: whether its answer has begun, and whether its client is still there."""

    timer: asyncio.Timeout

    def __init__(self, deadline_s: float, receive: Receive, send: Send) -> None:
        self.answering = False
        self.left = False
        self._deadline_s = deadline_s
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """The next part of the body; the deadline counts from the last one, and from then on the client is watched."""
        if self._watch is not None:
            await asyncio.shield(self._watch)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if not self.answering:
            self._due(self._deadline_s)
        if not message.get("more_body"):
            self._watch = asyncio.create_task(self._watching())
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer; once it has begun no deadline interrupts it."""
        if not self.answering:
            self.answering = True
            self._due(None)
        await self._send(message)

    def end(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()

    async def _watching(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.answering:
            self.left = True
            self._due(0)

    def _due(self, after_s: float | None) -> None:
        if not self.timer.expired():
            self.timer.reschedule(None if after_s is None else asyncio.get_running_loop().time() + after_s)


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    problem = problem_of(error.slug, error.status, str(error))
    await respond(Request(scope), problem, error.headers)(scope, receive, send)
