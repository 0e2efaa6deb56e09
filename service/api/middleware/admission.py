"""Which requests are let in, and how long somebody may wait for an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.api.middleware.root_path import path_of
from vitreid.service.api.problems import refuse
from vitreid.service.api.server.connections import BEGAN
from vitreid.service.errors import DeadlineExceeded, NotReady, QueueFull, RequestTimeout, ServiceError

API = "/v1/"
STARTS = 4
"""Requests that begin in one turn of the event loop: what precedes their work is not nothing."""
ADMIN_PLACES = 8
"""For holders of a key with the scope `admin`, whatever the others ask for."""


class InFlightRequests:
    """The requests that were let in and have no answer yet."""

    def __init__(self) -> None:
        self._requests: set[_InFlight] = set()

    @property
    def working(self) -> int:
        """How many of them wait for nothing of their clients."""
        return sum(not each.waits for each in self._requests)

    @property
    def body_bytes(self) -> int:
        """Bytes of the bodies that they hold."""
        return sum(each.body_bytes for each in self._requests)

    def enter(self, request: _InFlight) -> None:
        """Count a request in."""
        self._requests.add(request)

    def leave(self, request: _InFlight) -> None:
        """Count a request out."""
        self._requests.discard(request)

    def drain(self, within_s: float) -> None:
        """Let each request begin its answer within this time; what has none by then hears that the service stops."""
        for request in self._requests:
            request.stop_after(within_s)


@dataclass(frozen=True)
class AdmissionLimits:
    """What requests may take, each and together."""

    max_requests: int
    """That are worked on at a time; a key with the scope `admin` has ADMIN_PLACES more."""
    max_body_memory: int
    receive_s: float
    """From the first byte of a request to the last one of its body."""
    deadline_s: float
    """From then on to the first byte of its answer."""


class Admission:
    """Lets a number of requests into the API at a time, and ends one that is of no use any more.

    Who still sends its body takes no place. Of no use is a request whose body, or then its answer, is too late, and one
    whose client went away while it waited. Ending is cancellation: what waits in a queue leaves it, what runs in a
    thread ends by itself.
    """

    def __init__(self, app: ASGIApp, *, under_way: InFlightRequests, limits: AdmissionLimits) -> None:
        self.app = app
        self.under_way = under_way
        self.limits = limits
        self._starting = asyncio.Semaphore(STARTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not path_of(scope).startswith(API):
            await self.app(scope, receive, send)
            return
        async with self._starting:
            await asyncio.sleep(0)  # a turn of the event loop: others, and what is not of the API, come in between
        attended = _InFlight(self, scope, receive, send)
        try:
            attended.check_room(1)
        except QueueFull as full:
            await refuse(Request(scope), full)(scope, receive, send)
            return
        self.under_way.enter(attended)
        try:
            await self._attend(attended, scope)
        finally:
            self.under_way.leave(attended)
        if attended.ended_by is not None and not attended.answering:
            await refuse(Request(scope), attended.ended_by)(scope, receive, send)

    async def _attend(self, attended: _InFlight, scope: Scope) -> None:
        try:
            async with asyncio.timeout_at(attended.first_due_s) as attended.timer:
                try:
                    await self.app(scope, attended.receive, attended.send)
                finally:
                    attended.stop_watching()
        except TimeoutError:
            if not attended.timer.expired():
                raise
        else:
            attended.ended_by = None


class _InFlight:
    """One request: whether its answer has begun, whether its client is still there, and what ends it next."""

    timer: asyncio.Timeout

    def __init__(self, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        self.answering = False
        self.waits = False
        """Whether more of its body is waited for."""
        self.body_bytes = 0
        self._limits = admission.limits
        self._others = admission.under_way
        self._places = self._limits.max_requests + (ADMIN_PLACES if _is_admin(scope) else 0)
        self._stopping = False
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None
        now_s = asyncio.get_running_loop().time()
        if _has_body(scope):
            self.first_due_s = scope.get("state", {}).get(BEGAN, now_s) + self._limits.receive_s
            self.ended_by: ServiceError | None = RequestTimeout(
                f"the body was not here {self._limits.receive_s:g} s after the request began; send less, or faster"
            )
        else:
            self.first_due_s = now_s + self._limits.deadline_s
            self.ended_by = self._late()

    def check_room(self, more: int = 0) -> None:
        """Raise QueueFull where `more` requests are too many, or bodies hold too much memory."""
        if (working := self._others.working) + more > self._places:
            raise QueueFull(f"{working} requests are under way, {self._places} may be; try again")
        if (held := self._others.body_bytes) > (most := self._limits.max_body_memory):
            raise QueueFull(f"the bodies of all requests have {held:,} bytes, {most:,} may be held; try again")

    async def receive(self) -> Message:
        """The next part of the body; the deadline counts from the last one, and from then on the client is watched."""
        if self._watch is not None:
            await asyncio.shield(self._watch)
            return {"type": "http.disconnect"}
        self.waits = True
        try:
            message = await self._receive()
        finally:
            self.waits = False
        self.body_bytes += len(message.get("body", b""))
        if not message.get("more_body"):
            self._watch = asyncio.create_task(self._watching())
            if not self._stopping:
                self.ended_by = self._late()
                self._due(self._limits.deadline_s)
        self.check_room()
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

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"no answer within {self._limits.deadline_s:g} s; try again later, or with less at once"
        )

    async def _watching(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.ended_by = None  # nobody is there to hear of it
        self._due(0)

    def _due(self, after_s: float | None) -> None:
        if not self.answering and not self.timer.expired():
            self.timer.reschedule(None if after_s is None else asyncio.get_running_loop().time() + after_s)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_admin(scope: Scope) -> bool:
    _, principal = scope.get("state", {}).get("admitted", (None, None))  # by api.middleware.gate
    return principal is not None and principal.key_id is not None and "admin" in principal.scopes
