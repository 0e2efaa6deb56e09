"""Access log and metrics of requests."""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitreid.service.api.logs import request_id
from vitreid.service.api.metrics import OTHER, Metrics

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
CLIENT_LEFT = 499
logger = logging.getLogger("vitreid.access")


class AccessLogMiddleware:
    """Logs and counts each request by its route's template: paths and query strings may contain names."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id.set(scope.get("state", {}).get("request_id"))
        begin = time.perf_counter()
        status = CLIENT_LEFT

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:  # passed on as it is; outside of here it is answered with a 500
            status = 500
            raise
        finally:
            self._note(scope, status, time.perf_counter() - begin)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", OTHER)
        self.metrics.request(route, scope["method"], status, seconds)
        fields: dict[str, Any] = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
        }
        if key_id := scope.get("state", {}).get("key_id"):
            fields["key_id"] = key_id
        level = logging.DEBUG if route in PROBES else logging.INFO
        logger.log(level, "%(method)s %(route)s %(status)d in %(duration_ms)s ms", fields, extra={"fields": fields})
