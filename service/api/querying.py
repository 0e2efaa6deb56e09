"""One query: images of a person, or a stored item, in; candidates out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import decoded
from vitreid.scoring.patches import Foreground
from vitreid.service.access.principal import Principal
from vitreid.service.api.query_params import EmbedParams, ItemQueryParams, QueryParams, SearchParams
from vitreid.service.api.schemas.query import EmbeddingBody, QueryEcho, QueryResult, Timings, matches_of
from vitreid.service.api.state import Service
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import EmbeddingFailed
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.models.batching import Embedded
from vitreid.service.search import PatchReranker, SearchRequest, find, mean_embedding
from vitreid.service.search.patches import foregrounds
from vitreid.service.search.probability import ScoreCalibration, calibration_within, with_known_cameras

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Asked:
    """What a gallery is searched with."""

    embedding: NDArray[np.float32]
    """(D,), unit length."""
    images: int
    size: Size | None
    """(height, width) of the first image."""
    camera_id: str | None
    camera_known: bool
    foregrounds: Callable[[], Sequence[Foreground]]
    """Looks at the patches of the images that make the query."""
    item_id: int | None = None
    exclude_ids: frozenset[int] = frozenset()
    """Items that the query itself is made of."""
    decode_ms: float = 0.0
    wait_ms: float = 0.0
    run_ms: float = 0.0
    embed_ms: float = 0.0


async def answer(service: Service, uploads: Sequence[Upload], params: QueryParams, principal: Principal) -> QueryResult:
    """Search with images of one person, among what the caller may see.

    Raises ImageError for an image that cannot be read, EmbeddingFailed, GalleryNotFound, BadParameter.
    """
    begin = perf_counter()
    gallery = service.gallery(params.gallery)
    question = params.question({params.camera_id})  # what contradicts itself is told before the model works
    _meaning(service, gallery, len(uploads), params.camera_id, params).min_score(None, params.min_probability)
    asked = await embed_uploads(service, gallery, uploads, params.camera_id)
    return await service.threads.run(lambda: _result(service, asked, question, params, principal, begin))


async def answer_item(service: Service, item_id: int, params: ItemQueryParams, principal: Principal) -> QueryResult:
    """Search with a stored item, or with its track; the items that the query is made of are no candidates.

    Raises ItemNotFound, GalleryNotFound, BadParameter.
    """
    begin = perf_counter()

    def search() -> QueryResult:
        asked = _stored(service, item_id, params, principal)
        question = params.question({asked.camera_id}, exclude_ids=asked.exclude_ids)
        return _result(service, asked, question, params, principal, begin)

    return await service.threads.run(search)


async def embed_uploads(service: Service, gallery: Gallery, uploads: Sequence[Upload], camera_id: str | None) -> Asked:
    """One embedding for images of one person by one camera of a gallery.

    Raises ImageError or EmbeddingFailed, naming the image; EmbeddingRejected.
    """

    def decode() -> tuple[list[NDArray[np.uint8]], list[Size], str | None]:
        pixels, sizes = [], []
        for at, upload in enumerate(uploads):  # one after the other: an image may be large
            with decoded(upload.content, service.limits, name=_name(uploads, at)) as image:
                pixels.append(service.embedder.prepare(image))
                sizes.append((image.height, image.width))
            del image
        return pixels, sizes, gallery.model_camera(camera_id)

    begin = perf_counter()
    pixels, sizes, learned = await service.threads.run(decode)
    ready = perf_counter()
    service.metrics.stage("decode", _ms(begin, ready))
    cameras = [learned] * len(pixels)
    embedded = await service.embedding.embed(pixels, cameras)
    return Asked(
        embedding=mean_embedding(_rows(uploads, embedded)),
        images=len(pixels),
        size=sizes[0],
        camera_id=camera_id,
        camera_known=service.bundle.manifest.camera_index(learned) >= 0,
        foregrounds=lambda: service.explainer.look(pixels, cameras),
        decode_ms=_ms(begin, ready),
        wait_ms=embedded.wait_ms,
        run_ms=embedded.run_ms,
        embed_ms=_ms(ready, perf_counter()),
    )


async def embedding_body(service: Service, uploads: Sequence[Upload], params: EmbedParams) -> EmbeddingBody:
    """The embedding of images of one person. Raises what `embed_uploads` does, and GalleryNotFound."""
    asked = await embed_uploads(service, service.gallery(params.gallery), uploads, params.camera_id)
    return EmbeddingBody(
        embedding=asked.embedding.tolist(),
        dimension=len(asked.embedding),
        images=asked.images,
        camera_known=asked.camera_known,
        bundle_id=service.bundle.manifest.bundle_id,
    )


def _stored(service: Service, item_id: int, params: ItemQueryParams, principal: Principal) -> Asked:
    gallery = service.gallery(params.gallery)
    item = principal.check_item(gallery.get(item_id))
    ids = [item.id]
    if params.pool == "track" and item.track_id is not None:
        ids = gallery.ids(principal.filter(Filter(track_id=item.track_id)))
    return Asked(
        embedding=mean_embedding(gallery.embeddings(ids)),
        images=len(ids),
        size=None if item.quality is None else (item.quality.height, item.quality.width),
        camera_id=item.camera_id,
        camera_known=item.model_camera is not None,
        foregrounds=lambda: foregrounds(gallery, [item.id], service.explainer, service.embedder.prepare),
        item_id=item.id,
        exclude_ids=frozenset(ids),
    )


def _result(
    service: Service, asked: Asked, question: SearchRequest, params: SearchParams, principal: Principal, begin: float
) -> QueryResult:
    gallery = service.gallery(params.gallery)
    least = gallery.settings().min_score if params.min_score is None else params.min_score
    meaning = _meaning(service, gallery, asked.images, asked.camera_id, params)
    least = meaning.min_score(least, params.min_probability)
    where = principal.filter(question.where)
    if params.min_probability is not None:
        where = with_known_cameras(where, gallery)
    question = replace(question, where=where, min_score=least)
    looking = PatchReranker(service.explainer, service.embedder.prepare, asked.foregrounds)
    found = find(gallery, asked.embedding, question, visible=principal.filter(EVERYTHING), looking=looking)
    service.metrics.stage("search", found.search_ms)
    if asked.item_id is None and found.best_score is not None:
        service.metrics.best_match(params.gallery, asked.camera_id, found.best_score, gallery.knows_camera)
    return QueryResult(
        query=_echo(asked, params, question),
        matches=matches_of(found, meaning, params.group_by, params.gallery),
        no_match=found.no_match is not None,
        no_match_reason=found.no_match,
        best_score=found.best_score,
        searched=found.searched,
        gallery_size=found.gallery_size,
        bundle_id=service.bundle.manifest.bundle_id,
        timings_ms=Timings(
            decode=round(asked.decode_ms, 3),
            wait=round(asked.wait_ms, 3),
            run=round(asked.run_ms, 3),
            embed=round(asked.embed_ms, 3),
            search=round(found.search_ms, 3),
            rerank=round(found.rerank_ms, 3),
            total=round(_ms(begin, perf_counter()), 3),
        ),
    )


def _meaning(
    service: Service, gallery: Gallery, images: int, camera_id: str | None, params: SearchParams
) -> ScoreCalibration:
    calibration = calibration_within(service.bundle.manifest.calibration, gallery.settings().domain)
    return ScoreCalibration(calibration, camera_id=camera_id, single=images == 1 and not params.expand)


def _echo(asked: Asked, params: SearchParams, question: SearchRequest) -> QueryEcho:
    height, width = asked.size or (None, None)
    return QueryEcho(
        images=asked.images,
        item_id=asked.item_id,
        height=height,
        width=width,
        camera_id=asked.camera_id,
        camera_known=asked.camera_known,
        k=question.k,
        min_score=question.min_score,
        min_probability=params.min_probability,
        group_by=question.group_by,
        filter=params.asked_filter(),
        expand=question.expand,
        rerank=question.rerank,
        rerank_top=question.reranked,
        gallery=params.gallery,
    )


def _rows(uploads: Sequence[Upload], embedded: Embedded) -> NDArray[np.float32]:
    for at, row in enumerate(embedded.rows):
        if isinstance(row, EmbeddingFailed) and len(uploads) > 1:
            raise EmbeddingFailed(f"{_name(uploads, at)}: {row}")
    return embedded.embeddings


def _name(uploads: Sequence[Upload], place: int) -> str | None:
    """What an error calls one of the images."""
    name = uploads[place].name
    if len(uploads) == 1:
        return name
    return f"image {place + 1} of {len(uploads)}" + (f" ({name})" if name else "")


def _ms(begin: float, end: float) -> float:
    return (end - begin) * 1000
