"""The page for people at `/`, and the API's description at `/docs`: files of the package, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parent.parent / "web"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ASSETS = {file.name: TYPES[file.suffix] for file in WEB.iterdir() if file.suffix in TYPES}


@router.get("/")
async def page() -> FileResponse:
    """The search page."""
    return FileResponse(WEB / "index.html", media_type="text/html")


@router.get("/docs")
async def docs() -> FileResponse:
    """The API's description, drawn from /openapi.json."""
    return FileResponse(WEB / "docs.html", media_type="text/html")


@router.get("/web/{name}")
async def asset(name: str) -> FileResponse:
    """A file of the pages; only the listed ones exist."""
    if name not in ASSETS:
        raise HTTPException(404)
    return FileResponse(WEB / name, media_type=ASSETS[name], headers={"cache-control": "no-cache"})
