"""Uploaded pictures become items: each has its own result, and a bad one never fails its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from bundle import ImageError, read_image
from service.errors import BadParameter
from service.gallery import NewItem
from service.labels import NOBODY, label_of_name
from service.pictures import encode_picture
from service.problems import image_problem
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


def add_uploads(service: Service, uploads: Sequence[Upload], labels: Sequence[ItemLabels]) -> AddResultBody:
    """Decode, embed and store the pictures; the good ones are durable when this returns."""
    results: list[AddedItem] = []
    for start in range(0, len(uploads), BATCH):
        part = slice(start, start + BATCH)
        results += _add_batch(service, start, uploads[part], labels[part])
    statuses = [result.status for result in results]
    return AddResultBody(
        results=results,
        added=statuses.count("added"),
        duplicates=statuses.count("duplicate"),
        failed=statuses.count("error"),
        gallery_size=len(service.gallery),
    )


def _add_batch(
    service: Service, start: int, uploads: Sequence[Upload], labels: Sequence[ItemLabels]
) -> list[AddedItem]:
    results: dict[int, AddedItem] = {}
    images: dict[int, Image.Image] = {}
    for place, upload in enumerate(uploads):
        try:
            images[place] = read_image(upload.content, service.limits, name=upload.name)
        except ImageError as error:
            results[place] = AddedItem(
                index=start + place, source=upload.name, status="error", error=image_problem(error)
            )
    if images:
        embeddings = service.embed(list(images.values()), [labels[place].camera_id for place in images])
        items = [
            NewItem(
                embedding=embedding,
                image_hash=hashlib.sha256(uploads[place].content).hexdigest(),
                picture=encode_picture(image),
                source=uploads[place].name,
                camera_id=labels[place].camera_id,
                person_id=labels[place].person_id,
                track_id=labels[place].track_id,
                captured_at=labels[place].captured_at,
                metadata=labels[place].metadata,
            )
            for (place, image), embedding in zip(images.items(), embeddings, strict=True)
        ]
        for place, added in zip(images, service.gallery.add(items), strict=True):
            results[place] = AddedItem(
                index=start + place,
                source=uploads[place].name,
                status="duplicate" if added.duplicate else "added",
                id=added.id,
                duplicate=added.duplicate,
            )
    return [results[place] for place in sorted(results)]


def _named(name: str | None) -> ItemLabels:
    label = label_of_name(name or "")
    return ItemLabels(camera_id=label.camera_id, person_id=label.person_id)


def _somebody(labels: ItemLabels) -> ItemLabels:
    return labels.model_copy(update={"person_id": None}) if labels.person_id in NOBODY else labels
