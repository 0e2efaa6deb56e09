"""The ASGI application: its lifespan, routers and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from vitreid import service as service_package
from vitreid.service.api.info import software_version
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.middleware.access_log import AccessLogMiddleware
from vitreid.service.api.middleware.admission import AdmissionLimits, AdmissionMiddleware, InFlightRequests
from vitreid.service.api.middleware.audit import AuditMiddleware
from vitreid.service.api.middleware.authorization import AuthorizationMiddleware
from vitreid.service.api.middleware.body_size import BodySizeLimitMiddleware
from vitreid.service.api.middleware.content_encoding import ContentEncodingMiddleware
from vitreid.service.api.middleware.cross_site import CrossSiteMiddleware
from vitreid.service.api.middleware.head import HeadMiddleware
from vitreid.service.api.middleware.hosts import HostMiddleware
from vitreid.service.api.middleware.request_id import REQUEST_ID, RequestIdMiddleware
from vitreid.service.api.middleware.root_path import RootPathMiddleware
from vitreid.service.api.middleware.route import RouteMiddleware
from vitreid.service.api.middleware.security_headers import SecurityHeadersMiddleware
from vitreid.service.api.openapi.description import INTRODUCTION, LICENSE, SERVERS, TAGS, Described
from vitreid.service.api.problems import add_problem_handlers
from vitreid.service.api.routes import ROUTERS
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig


def create_app(config: ServiceConfig, service: Service | None = None, *, open_parts: bool = True) -> FastAPI:
    """Make the application.

    Its lifespan opens bundle, model and galleries, unless `service` holds them open already. Without `open_parts` it
    answers "not ready" until somebody puts a Service into its state (api.startup).
    """
    metrics = Metrics() if service is None else service.metrics
    in_flight = InFlightRequests()
    routes = [route for router in ROUTERS for route in router.routes]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            if service is None and open_parts:
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
        middleware=_layers(config, routes, metrics, in_flight),
    )
    app.state.service, app.state.metrics, app.state.startup_step = service, metrics, "the service is starting"
    app.state.in_flight = in_flight
    app.state.folders = _folders(config)
    app.state.api_routes = routes
    for router in ROUTERS:
        app.include_router(router)
    add_problem_handlers(app)
    app.add_exception_handler(ClientDisconnect, _client_left)
    return app


def _layers(
    config: ServiceConfig, routes: Sequence[BaseRoute], metrics: Metrics, in_flight: InFlightRequests
) -> list[Middleware]:
    """List the layers, the outermost first: a request passes them downwards, its answer upwards."""
    limits = AdmissionLimits(config.max_requests, config.max_body_memory, config.receive_s, config.deadline_s)
    return [
        # The prefix comes first: paths are compared with and without it everywhere below.
        *([Middleware(RootPathMiddleware, prefix=config.root_path)] if config.root_path else []),
        # Every answer has its id and its headers, that of a refusal too.
        Middleware(RequestIdMiddleware),
        Middleware(SecurityHeadersMiddleware),
        # Below here a HEAD is a GET, also in the log.
        Middleware(HeadMiddleware),
        # Everything that is answered below is counted and logged.
        Middleware(AccessLogMiddleware, metrics=metrics),
        # An answer's length reveals no secret: no page of another site can send the user's key.
        Middleware(GZipMiddleware, minimum_size=1024, compresslevel=1),
        # A name that another site gave this machine gets nothing, not even CORS headers.
        Middleware(HostMiddleware, names=config.hosts),
        # Preflights have no key; they are answered before anyone is authorized.
        *([_cors(config.origins)] if config.origins else []),
        # The next three need to know what the route requires.
        Middleware(RouteMiddleware, routes=routes),
        # The row begins before anything is refused, so that refusals are recorded.
        Middleware(AuditMiddleware),
        Middleware(CrossSiteMiddleware, allowed=config.origins),
        Middleware(AuthorizationMiddleware),
        # Only authorized requests count, and keys with the scope `admin` have a reserve.
        Middleware(AdmissionMiddleware, in_flight=in_flight, limits=limits),
        # Bodies are read below here: not too large, and not compressed.
        Middleware(BodySizeLimitMiddleware, max_bytes=config.max_body_bytes, max_json_bytes=config.max_json_bytes),
        Middleware(ContentEncodingMiddleware),
    ]


def _cors(origins: list[str]) -> Middleware:
    # Keys are sent by the pages themselves: no cookie, so nothing that a browser adds to a request of another site.
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "x-api-key", REQUEST_ID],
        expose_headers=["retry-after", REQUEST_ID],
    )


def _folders(config: ServiceConfig) -> list[str]:
    """List the folders that no answer may name, nested ones first."""
    folders = [config.data, *([config.bundle] if config.bundle else []), Path(service_package.__path__[0])]
    forms = {str(form) for path in folders for form in (path, path.absolute(), path.resolve())} - {".", "/"}
    return sorted(forms, key=len, reverse=True)


async def _client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it; without it the server would log an internal error
