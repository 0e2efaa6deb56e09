"""The application: parts opened for its lifetime, routers, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vitreid import service as service_package
from vitreid.service.api.info import software_version
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.middleware.access_log import AccessLogMiddleware
from vitreid.service.api.middleware.admission import Admission, AdmissionLimits, InFlightRequests
from vitreid.service.api.middleware.audit import AuditMiddleware
from vitreid.service.api.middleware.body_size import REQUEST_ID, BodySizeLimitMiddleware, ResponseHeadersMiddleware
from vitreid.service.api.middleware.content_encoding import PlainBodies
from vitreid.service.api.middleware.gate import Gate
from vitreid.service.api.middleware.head import HeadMiddleware
from vitreid.service.api.middleware.hosts import AllowedHosts
from vitreid.service.api.middleware.root_path import RootPath
from vitreid.service.api.openapi.description import INTRODUCTION, LICENSE, SERVERS, TAGS, Described
from vitreid.service.api.problems import add_problem_handlers
from vitreid.service.api.routes import ROUTERS
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig

# Keys are sent by the pages themselves: no cookie, so nothing that a browser adds to a request of another site.
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": ["authorization", "content-type", "x-api-key", REQUEST_ID],
    "expose_headers": ["retry-after", REQUEST_ID],
}


def create_app(config: ServiceConfig, service: Service | None = None, *, opens: bool = True) -> FastAPI:
    """The service as an ASGI application.

    Bundle, model and galleries are opened when it starts, unless `service` holds them open already. Where it `opens`
    nothing, it answers "not ready" until somebody puts them into its state (service.opening).
    """
    metrics = Metrics() if service is None else service.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            if service is None and opens:
                app.state.service = stack.enter_context(open_service(config, metrics))
                stack.callback(setattr, app.state, "service", None)
            yield

    app = Described(
        title="vitreid",
        summary="Person re-identification retrieval",
        description=INTRODUCTION,
        version=software_version(),
        openapi_tags=TAGS,
        servers=[*SERVERS],  # the framework adds to it
        license_info=LICENSE,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,  # the framework's own pages load their code from elsewhere; ours comes with the package
        redoc_url=None,
        redirect_slashes=False,  # a redirect names the host of the request, and its body would be sent twice
        lifespan=lifespan,
    )
    app.state.service, app.state.metrics, app.state.startup_step = service, metrics, "the service is starting"
    app.state.under_way = InFlightRequests()
    app.state.folders = _folders(config)
    for router in ROUTERS:
        app.include_router(router)
    app.state.api_routes = [route for router in ROUTERS for route in router.routes]
    add_problem_handlers(app)
    app.add_exception_handler(ClientDisconnect, _client_left)
    # The last one stands outermost: an answer passes them from here to the end.
    app.add_middleware(PlainBodies)
    app.add_middleware(BodySizeLimitMiddleware, limit=config.max_body_bytes, json_limit=config.max_json_bytes)
    limits = AdmissionLimits(config.max_requests, config.max_body_memory, config.receive_s, config.deadline_s)
    app.add_middleware(Admission, under_way=app.state.under_way, limits=limits)
    origins = config.origins
    app.add_middleware(Gate, routes=app.state.api_routes, origins=origins)
    app.add_middleware(AuditMiddleware)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **CORS)
    app.add_middleware(AllowedHosts, names=config.hosts)
    # Nothing that an answer says is worth guessing by its length: no page of another site can ask with the user's key.
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=1)
    app.add_middleware(AccessLogMiddleware, metrics=metrics)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(ResponseHeadersMiddleware)
    if config.root_path:
        app.add_middleware(RootPath, prefix=config.root_path)
    return app


def _folders(config: ServiceConfig) -> list[str]:
    """The folders that no answer names, those inside of others first."""
    given = [config.data, *([config.bundle] if config.bundle else []), Path(service_package.__path__[0])]
    every = {str(form) for path in given for form in (path, path.absolute(), path.resolve())} - {".", "/"}
    return sorted(every, key=len, reverse=True)


async def _client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it; without it the server would log an internal error
