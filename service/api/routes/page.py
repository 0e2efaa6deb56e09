"""The page at `/`, and the API's description at `/docs`: files of the package alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parents[2] / "web"
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
ASSETS = {file.name: TYPES[file.suffix] for file in WEB.iterdir() if file.suffix in TYPES}
PAGES = frozenset({"index.html", "docs.html"})
"""Assets with addresses of their own."""


@dataclass(frozen=True)
class Asset:
    """A file of the pages, read once."""

    content: bytes
    media_type: str
    etag: str


@router.get("/")
async def page(request: Request) -> Response:
    """Return the search page."""
    return _answer(request, "index.html")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return the page that shows /openapi.json."""
    return _answer(request, "docs.html")


@router.get("/web/{name}")
async def asset(request: Request, name: str) -> Response:
    """Return a file of the pages."""
    if name not in ASSETS.keys() - PAGES:
        raise HTTPException(404)
    return _answer(request, name)


@cache
def _read(name: str) -> Asset:
    content = (WEB / name).read_bytes()
    # Weak: what is sent is this content, compressed or not.
    return Asset(content, ASSETS[name], f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')


def _answer(request: Request, name: str) -> Response:
    found = _read(name)
    headers = {"etag": found.etag, "cache-control": "no-cache"}
    if _has(request.headers.get("if-none-match", ""), found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


def _has(condition: str, etag: str) -> bool:
    """Return whether an If-None-Match names this ETag, compared weakly (RFC 9110, 13.1.2)."""
    return condition.strip() == "*" or etag.removeprefix("W/") in re.findall(r'"[^"]*"', condition)
