"""One query: a picture in, candidates out."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from bundle import read_image
from service.access.principal import Principal
from service.config import DEFAULT_GALLERY
from service.gallery.filters import EVERYTHING
from service.schemas.common import Label
from service.schemas.query import MatchBody, QueryEcho, QueryResult, Timings
from service.state import Service
from service.uploads import Upload


class QueryParams(BaseModel):
    """What may stand in the address of a query; anything else is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera_id: Label | None = Field(None, description="the camera that took the query picture", examples=["c2"])
    k: int = Field(10, ge=1, le=10_000, description="how many candidates at most")
    min_score: float | None = Field(
        None, ge=-1, le=1, allow_inf_nan=False, description="leave out candidates below this cosine likeness"
    )
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="which gallery to search")


async def answer(service: Service, upload: Upload, params: QueryParams, principal: Principal) -> QueryResult:
    """Decode, embed and search. Raises ImageError for a picture that cannot be read, GalleryNotFound."""
    gallery = service.gallery(params.gallery)
    where = principal.filter(EVERYTHING)
    begin = perf_counter()
    image, pixels = await service.work(lambda: _decode(service, upload))
    decoded = perf_counter()
    embeddings = (await service.embed([pixels], [params.camera_id])).embeddings
    embedded = perf_counter()
    [matches] = await service.work(
        lambda: gallery.search(embeddings, params.k, where=where, min_score=params.min_score)
    )
    found = perf_counter()
    manifest = service.bundle.manifest
    return QueryResult(
        query=QueryEcho(
            height=image.height,
            width=image.width,
            camera_id=params.camera_id,
            camera_known=manifest.camera_index(params.camera_id) >= 0,
            k=params.k,
            min_score=params.min_score,
            gallery=params.gallery,
        ),
        matches=[MatchBody.of_match(rank, match) for rank, match in enumerate(matches, start=1)],
        gallery_size=len(gallery),
        bundle_id=manifest.bundle_id,
        timings_ms=Timings(
            decode=_ms(begin, decoded),
            embed=_ms(decoded, embedded),
            search=_ms(embedded, found),
            total=_ms(begin, found),
        ),
    )


def _decode(service: Service, upload: Upload) -> tuple[Image.Image, NDArray[np.uint8]]:
    image = read_image(upload.content, service.limits, name=upload.name)
    return image, service.embedder.prepare(image)


def _ms(begin: float, end: float) -> float:
    return round((end - begin) * 1000, 3)
