"""Which requests are let in, and how long somebody may wait for an answer."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError
from service.http.paths import path_of
from service.http.problems import refuse

API = "/v1/"


class UnderWay:
    """The requests that were let in and have no answer yet."""

    def __init__(self) -> None:
        self._requests: set[_Attended] = set()

    def __len__(self) -> int:
        return len(self._requests)

    def enter(self, request: _Attended) -> None:
        """Count a request in."""
        self._requests.add(request)

    def leave(self, request: _Attended) -> None:
        """Count a request out."""
        self._requests.discard(request)

    def drain(self, within_s: float) -> None:
        """Let each request begin its answer within this time; what has none by then hears that the service stops."""
        for request in self._requests:
            request.stop_after(within_s)


class Admission:
    """Lets at most `max_requests` into the API at a time, and ends one that is of no use any more.

    That is one whose answer has not begun `deadline_s` after the last of its body came, and one whose client went
    away while it waited. Ending is cancellation: what waits in a queue leaves it, what runs in a thread ends by itself.
    """

    def __init__(self, app: ASGIApp, *, under_way: UnderWay, deadline_s: float, max_requests: int) -> None:
        self.app = app
        self.under_way = under_way
        self.deadline_s = deadline_s
        self.max_requests = max_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not path_of(scope).startswith(API):
            await self.app(scope, receive, send)
            return
        if len(self.under_way) >= self.max_requests:
            full = QueueFull(f"{len(self.under_way)} requests are under way, {self.max_requests} may be; try again")
            await refuse(Request(scope), full)(scope, receive, send)
            return
        attended = _Attended(self.deadline_s, receive, send)
        self.under_way.enter(attended)
        try:
            await self._attend(attended, scope)
        finally:
            self.under_way.leave(attended)
        if attended.ended_by is not None and not attended.answering:
            await refuse(Request(scope), attended.ended_by)(scope, receive, send)

    async def _attend(self, attended: _Attended, scope: Scope) -> None:
        try:
            async with asyncio.timeout(self.deadline_s) as attended.timer:
                try:
                    await self.app(scope, attended.receive, attended.send)
                finally:
                    attended.stop_watching()
        except TimeoutError:
            if not attended.timer.expired():
                raise
        else:
            attended.ended_by = None


class _Attended:
    """One request: whether its answer has begun, whether its client is still there, and what ends it next."""

    timer: asyncio.Timeout

    def __init__(self, deadline_s: float, receive: Receive, send: Send) -> None:
        self.answering = False
        self.ended_by: ServiceError | None = DeadlineExceeded(
            f"no answer within {deadline_s:g} s; try again later, or with less at once"
        )
        self._stopping = False
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
        if not self._stopping:
            self._due(self._deadline_s)
        if not message.get("more_body"):
            self._watch = asyncio.create_task(self._watching())
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer; once it has begun nothing interrupts it."""
        if not self.answering:
            self._due(None)
            self.answering = True
        await self._send(message)

    def stop_after(self, seconds: float) -> None:
        """Give the request this long from now on."""
        self._stopping = True
        self.ended_by = NotReady("the service is stopping")
        self._due(seconds)

    def stop_watching(self) -> None:
        """Nobody needs to know any more whether the client is there."""
        if self._watch is not None:
            self._watch.cancel()

    async def _watching(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.ended_by = None  # nobody is there to hear of it
        self._due(0)

    def _due(self, after_s: float | None) -> None:
        if not self.answering and not self.timer.expired():
            self.timer.reschedule(None if after_s is None else asyncio.get_running_loop().time() + after_s)
