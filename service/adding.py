"""Uploaded pictures become items: each has its own result, and a bad one never fails its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from bundle import ImageError, read_image
from service.errors import BadParameter, EmbeddingFailed
from service.gallery import Gallery, NewItem
from service.labels import NOBODY, label_of_name
from service.pictures import encode_picture
from service.problems import Problem, image_problem, problem_of
from service.schemas.items import AddedItem, AddResultBody, ItemLabels
from service.state import Service
from service.uploads import Upload

BATCH = 16
_LABELS = TypeAdapter(list[ItemLabels] | ItemLabels)


def parse_labels(text: str | None, uploads: Sequence[Upload]) -> list[ItemLabels]:
    """One set of labels per picture: from the JSON list, from one object for all, or from Market-1501 file names.

    Raises BadParameter.
    """
    if text is None or not text.strip():
        return [_named(upload.name) for upload in uploads]
    try:
        given = _LABELS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise BadParameter(
            f"metadata: {where}: {first['msg']}; send a JSON object, or a list with one per picture"
        ) from error
    if isinstance(given, ItemLabels):
        return [_somebody(given)] * len(uploads)
    if len(given) != len(uploads):
        raise BadParameter(f"metadata has {len(given)} entries for {len(uploads)} pictures; send one per picture")
    return [_somebody(labels) for labels in given]


async def add_uploads(
    service: Service, gallery: Gallery, uploads: Sequence[Upload], labels: Sequence[ItemLabels]
) -> AddResultBody:
    """Decode, embed and store the pictures; the good ones are durable when this returns."""
    results: list[AddedItem] = []
    for start in range(0, len(uploads), BATCH):
        part = slice(start, start + BATCH)
        results += await _add_batch(service, gallery, start, uploads[part], labels[part])
    statuses = [result.status for result in results]
    return AddResultBody(
        results=results,
        added=statuses.count("added"),
        duplicates=statuses.count("duplicate"),
        failed=statuses.count("error"),
        gallery_size=len(gallery),
    )


async def _add_batch(
    service: Service, gallery: Gallery, start: int, uploads: Sequence[Upload], labels: Sequence[ItemLabels]
) -> list[AddedItem]:
    def failure(place: int, problem: Problem) -> AddedItem:
        return AddedItem(index=start + place, source=uploads[place].name, status="error", error=problem)

    results: dict[int, AddedItem] = {}
    images: dict[int, Image.Image] = {}
    pixels: dict[int, NDArray[np.uint8]] = {}

    def decode() -> None:
        for place, upload in enumerate(uploads):
            try:
                images[place] = read_image(upload.content, service.limits, name=upload.name)
                pixels[place] = service.embedder.prepare(images[place])
            except ImageError as error:
                results[place] = failure(place, image_problem(error))

    def store() -> None:
        added = gallery.add([_item(uploads[place], images[place], labels[place], rows[place]) for place in rows])
        for place, each in zip(rows, added, strict=True):
            results[place] = AddedItem(
                index=start + place,
                source=uploads[place].name,
                status="duplicate" if each.duplicate else "added",
                id=each.id,
                duplicate=each.duplicate,
            )

    await service.work(decode)
    embedded = await service.embed(list(pixels.values()), [labels[place].camera_id for place in pixels])
    rows: dict[int, NDArray[np.float32]] = {}
    for place, row in zip(pixels, embedded.rows, strict=True):
        if isinstance(row, EmbeddingFailed):
            results[place] = failure(place, problem_of(row.slug, row.status, str(row)))
        else:
            rows[place] = row
    await service.work(store)
    return [results[place] for place in sorted(results)]


def _item(upload: Upload, image: Image.Image, labels: ItemLabels, embedding: NDArray[np.float32]) -> NewItem:
    return NewItem(
        embedding=embedding,
        image_hash=hashlib.sha256(upload.content).hexdigest(),
        picture=encode_picture(image),
        source=upload.name,
        camera_id=labels.camera_id,
        person_id=labels.person_id,
        track_id=labels.track_id,
        captured_at=labels.captured_at,
        metadata=labels.metadata,
    )


def _named(name: str | None) -> ItemLabels:
    label = label_of_name(name or "")
    return ItemLabels(camera_id=label.camera_id, person_id=label.person_id)


def _somebody(labels: ItemLabels) -> ItemLabels:
    return labels.model_copy(update={"person_id": None}) if labels.person_id in NOBODY else labels
