"""Queries over HTTP: images or a stored item in, the body of an answer out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageLimits, Manifest, decoded
from vitreid.service.access.principal import Principal
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.params import ItemQueryParams, QueryParams, SearchParams
from vitreid.service.api.schemas.query import EmbeddingBody, QueryEcho, QueryResult, Timings, matches_of
from vitreid.service.api.threads import Threads
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import EmbeddingFailed
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.models.batching import Embedded, EmbeddingQueue
from vitreid.service.models.explainer import Explainer
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.pipeline import SearchResult, check_request, search
from vitreid.service.search.query import Query, mean_embedding, query_of_item
from vitreid.service.search.request import SearchRequest

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class EmbeddedQuery:
    """A query with what the answer shows of it."""

    query: Query
    size: Size | None
    """(height, width) of the first image; None: unknown."""
    camera_known: bool
    """The model was trained with the camera."""
    item_id: int | None = None
    decode_ms: float = 0.0
    wait_ms: float = 0.0
    run_ms: float = 0.0
    embed_ms: float = 0.0


@dataclass(frozen=True)
class QueryHandler:
    """Answers queries: decodes, embeds and searches, among what the caller may see."""

    manifest: Manifest
    embedding: EmbeddingQueue
    explainer: Explainer
    limits: ImageLimits
    metrics: Metrics
    threads: Threads

    async def by_images(
        self, gallery: Gallery, uploads: Sequence[Upload], params: QueryParams, principal: Principal
    ) -> QueryResult:
        """Search with images of one person.

        Raises ImageError for an image that cannot be read, EmbeddingFailed, BadParameter, NotCalibrated.
        """
        started, request = perf_counter(), params.request()
        calibration = self.manifest.calibration
        check_request(gallery, request, calibration, camera_id=params.camera_id, images=len(uploads))
        embedded = await self._embed(gallery, uploads, params.camera_id)
        return await self.threads.run(lambda: self._search(gallery, embedded, request, params, principal, started))

    async def by_item(
        self, gallery: Gallery, item_id: int, params: ItemQueryParams, principal: Principal
    ) -> QueryResult:
        """Search with a stored item, or with its track; the items that the query is made of are no candidates.

        Raises ItemNotFound, BadParameter, NotCalibrated.
        """
        started, request, track = perf_counter(), params.request(), params.pool == "track"

        def search_with_item() -> QueryResult:
            item = principal.check_item(gallery.get(item_id))
            query = query_of_item(gallery, item, self._patches(), track=track, restrict=principal.filter)
            size = None if item.quality is None else (item.quality.height, item.quality.width)
            embedded = EmbeddedQuery(query, size, item.model_camera is not None, item_id=item.id)
            return self._search(gallery, embedded, request, params, principal, started)

        return await self.threads.run(search_with_item)

    async def embed(self, gallery: Gallery, uploads: Sequence[Upload], camera_id: str | None) -> EmbeddingBody:
        """Embed images of one person without a search. Raises as `_embed`."""
        embedded = await self._embed(gallery, uploads, camera_id)
        return EmbeddingBody(
            embedding=embedded.query.embedding.tolist(),
            dimension=len(embedded.query.embedding),
            images=embedded.query.images,
            camera_known=embedded.camera_known,
            bundle_id=self.manifest.bundle_id,
        )

    async def _embed(self, gallery: Gallery, uploads: Sequence[Upload], camera_id: str | None) -> EmbeddedQuery:
        """Make a query of images of one person, taken by one camera of a gallery.

        Raises ImageError or EmbeddingFailed, naming the image; EmbeddingRejected.
        """

        def decode() -> tuple[list[NDArray[np.uint8]], list[Size], str | None]:
            pixels, sizes = [], []
            for at, upload in enumerate(uploads):  # one after the other: an image may be large
                with decoded(upload.content, self.limits, name=_name(uploads, at)) as image:
                    pixels.append(self.embedding.prepare(image))
                    sizes.append((image.height, image.width))
                del image
            return pixels, sizes, gallery.model_camera(camera_id)

        started = perf_counter()
        pixels, sizes, model_camera = await self.threads.run(decode)
        decoded_at = perf_counter()
        self.metrics.stage("decode", _ms(started, decoded_at))
        model_cameras = [model_camera] * len(pixels)
        rows = await self.embedding.embed(pixels, model_cameras)
        query = Query(
            mean_embedding(_embeddings(uploads, rows)),
            images=len(pixels),
            camera_ids=(camera_id,),
            foregrounds=lambda: self.explainer.foreground(pixels, model_cameras),
        )
        return EmbeddedQuery(
            query,
            size=sizes[0],
            camera_known=self.manifest.camera_index(model_camera) >= 0,
            decode_ms=_ms(started, decoded_at),
            wait_ms=rows.wait_ms,
            run_ms=rows.run_ms,
            embed_ms=_ms(decoded_at, perf_counter()),
        )

    def _search(
        self,
        gallery: Gallery,
        embedded: EmbeddedQuery,
        request: SearchRequest,
        params: SearchParams,
        principal: Principal,
        started: float,
    ) -> QueryResult:
        result = search(
            gallery,
            embedded.query,
            request,
            calibration=self.manifest.calibration,
            patches=self._patches(),
            restrict=principal.filter,
        )
        self.metrics.stage("search", result.search_ms)
        if embedded.item_id is None and result.best_score is not None:
            camera_id = embedded.query.camera_ids[0]
            self.metrics.best_match(params.gallery, camera_id, result.best_score, gallery.knows_camera)
        return _body(embedded, params, request, result, self.manifest.bundle_id, started)

    def _patches(self) -> PatchReranker:
        return PatchReranker(self.explainer, self.embedding.prepare)


def _body(
    embedded: EmbeddedQuery,
    params: SearchParams,
    request: SearchRequest,
    result: SearchResult,
    bundle_id: str,
    started: float,
) -> QueryResult:
    return QueryResult(
        query=_echo(embedded, params, request, result.min_score),
        matches=matches_of(result, params.group_by, params.gallery),
        no_match=result.no_match is not None,
        no_match_reason=result.no_match,
        best_score=result.best_score,
        searched=result.searched,
        gallery_size=result.gallery_size,
        bundle_id=bundle_id,
        timings_ms=Timings(
            decode=round(embedded.decode_ms, 3),
            wait=round(embedded.wait_ms, 3),
            run=round(embedded.run_ms, 3),
            embed=round(embedded.embed_ms, 3),
            search=round(result.search_ms, 3),
            rerank=round(result.rerank_ms, 3),
            total=round(_ms(started, perf_counter()), 3),
        ),
    )


def _echo(embedded: EmbeddedQuery, params: SearchParams, request: SearchRequest, min_score: float | None) -> QueryEcho:
    height, width = embedded.size or (None, None)
    return QueryEcho(
        images=embedded.query.images,
        item_id=embedded.item_id,
        height=height,
        width=width,
        camera_id=embedded.query.camera_ids[0],
        camera_known=embedded.camera_known,
        k=request.k,
        min_score=min_score,
        min_probability=request.min_probability,
        group_by=request.group_by,
        filter=params.given_conditions(),
        expand=request.expand,
        rerank=request.rerank,
        rerank_top=request.reranked,
        gallery=params.gallery,
    )


def _embeddings(uploads: Sequence[Upload], embedded: Embedded) -> NDArray[np.float32]:
    """Return the embeddings (N, D) of N images. Raises EmbeddingFailed that names the image."""
    for at, row in enumerate(embedded.rows):
        if isinstance(row, EmbeddingFailed) and len(uploads) > 1:
            raise EmbeddingFailed(f"{_name(uploads, at)}: {row}")
    return embedded.embeddings


def _name(uploads: Sequence[Upload], at: int) -> str | None:
    """Return the name of one of the images in messages."""
    name = uploads[at].name
    if len(uploads) == 1:
        return name
    return f"image {at + 1} of {len(uploads)}" + (f" ({name})" if name else "")


def _ms(start: float, end: float) -> float:
    return (end - start) * 1000
