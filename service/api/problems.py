"""Errors as `application/problem+json` (RFC 9457): with a stable `type`, and never a traceback."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from vitreid.bundle import BundleError, DecodingBusy, ImageError
from vitreid.service.access.errors import AccessError, RateLimited, Unauthorized
from vitreid.service.api.middleware.request_id import REQUEST_ID
from vitreid.service.api.middleware.security_headers import SECURITY_HEADERS
from vitreid.service.api.schemas.problem import MAX_ERRORS, FieldError, Problem
from vitreid.service.errors import BadImage, GalleryError, QueueFull, RequestError, ServiceError
from vitreid.service.values.messages import mistake, place_of, shortened

MEDIA_TYPE = "application/problem+json"
MAX_PATH = 200
logger = logging.getLogger("vitreid")


def problem_of(slug: str, status: int, detail: str) -> Problem:
    """A problem named by its slug: `body-too-large` gives the type `/problems/body-too-large`."""
    title = slug.replace("-", " ").capitalize()
    return Problem(type=f"/problems/{slug}", title=title, status=status, detail=shortened(detail))


def image_problem(error: ImageError) -> Problem:
    """An image that cannot be read; by the name that the client gave it."""
    return problem_of(BadImage.slug, BadImage.status, str(error))


def respond(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Make the response for a problem, with the id of the request."""
    request.app.state.metrics.rejected(problem.slug)
    request_id = getattr(request.state, "request_id", None)
    # (the path itself: an URL is made with the Host header, which may be anything)
    where = shortened(request.scope["path"], MAX_PATH)
    body = problem.model_copy(update={"instance": where, "request_id": request_id})
    named = {REQUEST_ID: request_id} if request_id else {}
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=problem.status,
        headers={**SECURITY_HEADERS, **named, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def refuse(request: Request, error: ServiceError) -> JSONResponse:
    """Make the response for one of the service's own errors."""
    detail = str(error)
    if isinstance(error, (GalleryError, AccessError)) and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # These messages name folders of this machine: for the log, not for a client.
        logger.error("%s", error)
        detail = (type(error).__doc__ or "").splitlines()[0]
    elif not isinstance(error, RequestError):  # which is about what the client sent
        detail = _without_folders(request, detail)
    return respond(request, problem_of(error.slug, error.status, detail), headers_of(error))


def headers_of(error: ServiceError) -> dict[str, str]:
    """Return the headers for an error: WWW-Authenticate (RFC 6750) or Retry-After."""
    if isinstance(error, Unauthorized):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, RateLimited):
        return {"retry-after": str(max(1, math.ceil(error.after_s)))}
    return {"retry-after": "1"} if error.status in {503, 504} else {}


def _without_folders(request: Request, detail: str) -> str:
    """Return the message with paths relative to the service's own folders, not to the root of the machine."""
    message = detail
    for folder in request.app.state.folders:
        message = message.replace(f"{folder}/", "").replace(folder, "the folder")
    if message != detail:
        logger.warning("%s", detail)
    return message


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of our trees, of the framework, and any other one with a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(BundleError, _bundle_error)
    app.add_exception_handler(ImageError, _image_error)
    app.add_exception_handler(DecodingBusy, _busy)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return refuse(request, error)


async def _bundle_error(request: Request, error: Exception) -> JSONResponse:
    logger.error("the bundle cannot be used: %s", error)
    return respond(request, problem_of("bundle", 503, "the model cannot be used at the moment; see the log"))


async def _image_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ImageError)
    return respond(request, image_problem(error))


async def _busy(request: Request, error: Exception) -> JSONResponse:
    return await _service_error(request, QueueFull(str(error)))


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    errors = [FieldError(where=place_of(each["loc"]), message=mistake(each)) for each in found[:MAX_ERRORS]]
    detail = "; ".join(f"{each.where} {each.message}" for each in errors[:3])
    listed = {"errors": errors, "error_count": len(found)}
    problem = problem_of("invalid-request", 422, detail).model_copy(update=listed)
    return respond(request, problem)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ServiceError):  # FastAPI calls whatever ends the reading of JSON a bad request
        return refuse(request, error.__cause__)
    status = HTTPStatus(error.status_code)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    detail = str(error.detail)
    if status is HTTPStatus.NOT_FOUND:
        detail = f"no route matches {request.scope['path']}; see /docs"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = ", ".join(sorted(_methods_of(request)))
        detail = f"{request.method} is not allowed here; allowed: {headers['allow']}"
    slug = status.phrase.lower().replace(" ", "-")
    return respond(request, problem_of(slug, status.value, detail), headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, and the server logs it with its traceback.
    return respond(request, problem_of("internal-error", 500, "the service failed internally; see the log"))


def _methods_of(request: Request) -> set[str]:
    # A path may belong to several routes (GET and POST /v1/items); Starlette names the methods of the first one only.
    found: set[str] = set()
    for route in request.app.state.api_routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found | ({"HEAD"} if "GET" in found else set())
