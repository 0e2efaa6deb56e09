"""What is running, whether it lives, and whether it can answer."""

from __future__ import annotations

import logging
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request
from PIL import Image

from service.access.guard import known, needs
from service.access.principal import Principal
from service.config import DEFAULT_GALLERY
from service.errors import NotReady
from service.routes.problem_docs import problem, problems
from service.schemas.system import BundleInfo, GalleryBody, Health, Info
from service.state import Service, service_of, software_version

router = APIRouter(tags=["system"])
logger = logging.getLogger("vitreid")


@router.get("/v1/info", summary="What is running", response_description="what is running", responses=problems())
async def info(request: Request, principal: Annotated[Principal, Depends(needs("read", reach="own"))]) -> Info:
    """The model, the gallery, and since when they are up. A limited key is told nothing about the gallery."""
    service = service_of(request)
    return await service.work(lambda: _info(service, principal))


@router.get("/healthz", summary="Whether the process lives", response_description="it lives")
async def healthz() -> Health:
    """Says ok as long as the process answers; for what it can do ask /readyz."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Whether queries can be answered", response_description="they can", responses={503: problem(503)}
)
async def readyz(request: Request, principal: Annotated[Principal | None, Depends(known)]) -> Health:
    """Embeds a grey picture and searches the gallery with it: ready means that a query would be answered now.

    Open to all; what was tried is told to those with a key.
    """
    service = service_of(request)
    health = await service.work(lambda: _canary(service))
    return health if principal is not None else Health(status=health.status)


def _canary(service: Service) -> Health:
    spec = service.bundle.manifest.image
    grey = Image.new("RGB", (spec.width, spec.height), (128, 128, 128))
    try:
        embedding = service.embed_now([grey], [None])
        length = float(np.linalg.norm(embedding[0]))
        service.gallery().search(embedding, 1)
    except Exception as error:  # whatever breaks, the answer is "not ready" and not "internal error"
        logger.exception("the readiness check failed")
        raise NotReady(f"a test query failed ({type(error).__name__}); the log says why") from error
    if not abs(length - 1) < 1e-2:
        raise NotReady(f"the model gave an embedding of length {length:.3g} instead of 1")
    return Health(status="ready", checks={"embedding": "ok", "search": "ok"})


def _info(service: Service, principal: Principal) -> Info:
    manifest = service.bundle.manifest
    gallery = service.gallery().info()
    return Info(
        name="vitreid",
        version=software_version(),
        bundle=BundleInfo(
            id=manifest.bundle_id,
            name=manifest.name,
            image_height=manifest.image.height,
            image_width=manifest.image.width,
            dimension=manifest.dimension,
            cameras=list(manifest.cameras),
            starter=service.starter,
        ),
        gallery=GalleryBody(
            name=DEFAULT_GALLERY,
            size=gallery.items,
            persons=gallery.persons,
            cameras=gallery.cameras,
            index=gallery.index,
        )
        if principal.unlimited
        else None,
        provider=service.embedder.provider,
        uptime_s=round(service.uptime_s, 3),
    )
