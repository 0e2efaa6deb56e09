"""Admission control: limits on concurrent requests and on the time of each."""

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
"""Requests that start in one turn of the event loop: authorization before them takes time."""
ADMIN_REQUESTS = 8
"""Reserved for keys with the scope `admin`."""


class InFlightRequests:
    """The requests that were admitted and have no answer yet."""

    def __init__(self) -> None:
        self._requests: set[_InFlight] = set()

    @property
    def working(self) -> int:
        """Number of requests that do not wait for their clients."""
        return sum(not each.waits for each in self._requests)

    @property
    def body_bytes(self) -> int:
        """Bytes of their bodies in memory."""
        return sum(each.body_bytes for each in self._requests)

    def enter(self, request: _InFlight) -> None:
        """Add a request."""
        self._requests.add(request)

    def leave(self, request: _InFlight) -> None:
        """Remove a request."""
        self._requests.discard(request)

    def drain(self, within_s: float) -> None:
        """Give each request this time to begin its answer; later ones get 503 "the service is stopping"."""
        for request in self._requests:
            request.stop_after(within_s)


@dataclass(frozen=True)
class AdmissionLimits:
    """Limits of each request, and of all together."""

    max_requests: int
    """At a time; a key with the scope `admin` has ADMIN_REQUESTS more."""
    max_body_memory: int
    receive_s: float
    """From the first byte of a request to the last one of its body."""
    deadline_s: float
    """From then on to the first byte of its answer."""


class AdmissionMiddleware:
    """Admits a limited number of requests to the API, and cancels those that are too late or without a client.

    A request whose body is still arriving does not count. A request is cancelled when its body or its answer misses its
    deadline, or its client disconnects: a task in a queue leaves it, one in a thread ends by itself.
    """

    def __init__(self, app: ASGIApp, *, in_flight: InFlightRequests, limits: AdmissionLimits) -> None:
        self.app = app
        self.in_flight = in_flight
        self.limits = limits
        self._starting = asyncio.Semaphore(STARTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not path_of(scope).startswith(API):
            await self.app(scope, receive, send)
            return
        async with self._starting:
            await asyncio.sleep(0)  # a turn of the event loop: others, and what is not of the API, come in between
        request = _InFlight(self, scope, receive, send)
        try:
            request.check_room(1)
        except QueueFull as full:
            await refuse(Request(scope), full)(scope, receive, send)
            return
        self.in_flight.enter(request)
        try:
            await self._attend(request, scope)
        finally:
            self.in_flight.leave(request)
        if request.ended_by is not None and not request.answering:
            await refuse(Request(scope), request.ended_by)(scope, receive, send)

    async def _attend(self, request: _InFlight, scope: Scope) -> None:
        try:
            async with asyncio.timeout_at(request.first_due_s) as request.timer:
                try:
                    await self.app(scope, request.receive, request.send)
                finally:
                    request.stop_watching()
        except TimeoutError:
            if not request.timer.expired():
                raise
        else:
            request.ended_by = None


class _InFlight:
    """One request with its limits, its deadlines and its client."""

    timer: asyncio.Timeout

    def __init__(self, admission: AdmissionMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.answering = False
        self.waits = False
        """True while more of its body is awaited."""
        self.body_bytes = 0
        self._limits = admission.limits
        self._others = admission.in_flight
        self._max_requests = self._limits.max_requests + (ADMIN_REQUESTS if _is_admin(scope) else 0)
        self._stopping = False
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None
        now_s = asyncio.get_running_loop().time()
        if _has_body(scope):
            self.first_due_s = scope.get("state", {}).get(BEGAN, now_s) + self._limits.receive_s
            self.ended_by: ServiceError | None = RequestTimeout(
                f"the body did not arrive within {self._limits.receive_s:g} s; send less, or faster"
            )
        else:
            self.first_due_s = now_s + self._limits.deadline_s
            self.ended_by = self._late()

    def check_room(self, more: int = 0) -> None:
        """Raise QueueFull where `more` requests are too many, or bodies hold too much memory."""
        if (working := self._others.working) + more > self._max_requests:
            raise QueueFull(f"{working} requests are in flight; at most {self._max_requests} are allowed; try again")
        if (held := self._others.body_bytes) > (limit := self._limits.max_body_memory):
            raise QueueFull(f"the bodies of all requests have {held:,} bytes; at most {limit:,} are allowed; try again")

    async def receive(self) -> Message:
        """Receive the next part of the body; after the last one the deadline and the watch of the client begin."""
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
            self._watch = asyncio.create_task(self._watch_client())
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
        """Set the deadline to `seconds` from now."""
        self._stopping = True
        self.ended_by = NotReady("the service is stopping")
        self._due(seconds)

    def stop_watching(self) -> None:
        """Stop watching whether the client disconnects."""
        if self._watch is not None:
            self._watch.cancel()

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"no answer within {self._limits.deadline_s:g} s; try again later, or with less at once"
        )

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.ended_by = None  # there is no client to answer
        self._due(0)

    def _due(self, after_s: float | None) -> None:
        if not self.answering and not self.timer.expired():
            self.timer.reschedule(None if after_s is None else asyncio.get_running_loop().time() + after_s)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_admin(scope: Scope) -> bool:
    _, principal = scope.get("state", {}).get("admitted", (None, None))  # by AuthorizationMiddleware
    return principal is not None and principal.key_id is not None and "admin" in principal.scopes
