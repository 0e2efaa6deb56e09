"""Uploaded images become items: each has its own result, and a bad one never fails its neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import from_json

from vitreid.bundle import ImageError
from vitreid.bundle.market_names import NOBODY
from vitreid.service.api.problems import image_problem, problem_of
from vitreid.service.api.schemas.items import AddedItem, AddResultBody, FrameLabels
from vitreid.service.api.state import Service
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import BadImage, BadParameter, EmbeddingFailed
from vitreid.service.gallery import Gallery
from vitreid.service.intake.boxes import boxes_of
from vitreid.service.intake.cameras import camera_map
from vitreid.service.intake.labels import Label, label_of_name
from vitreid.service.intake.preparing import (
    Duplicate,
    InvalidBox,
    Outcome,
    Prepared,
    QualityRejected,
    ReceivedImage,
    Rules,
    chunked,
    prepare_image,
)
from vitreid.service.intake.relabelling import relabelled
from vitreid.service.values.messages import first_mistake

BATCH = 16
MAX_VALUES = 200_000
"""Of the metadata of a request: nothing else is done while its values are made, and there may be a million in 4 MiB."""


@dataclass(frozen=True)
class Sent:
    """One uploaded image, and what was said about it."""

    index: int
    upload: Upload
    labels: FrameLabels

    @property
    def size(self) -> tuple[int, int]:
        """The items it may become, and its bytes."""
        return 1 if self.labels.boxes is None else len(self.labels.boxes), len(self.upload.content)

    def image(self) -> ReceivedImage:
        """The image with its boxes."""
        labels = self.labels
        label = Label(labels.person_id, labels.camera_id, labels.track_id, labels.captured_at, labels.metadata)
        return ReceivedImage(self.upload.name, self.upload.content, label, boxes_of(labels))


@dataclass
class _Slot:
    """The place of one item among the results: its result, and until that is known what is to be embedded."""

    result: AddedItem
    ready: Prepared | None = None
    label: Label = field(default_factory=Label)
    """What was said about it."""


def parse_labels(text: bytes | None, uploads: Sequence[Upload]) -> list[FrameLabels]:
    """One set of labels per image: from the JSON list or one object for all, and else from Market-1501 file names.

    It may be 4 MiB of JSON: call it in a thread. Raises BadParameter that names the first mistake.
    """
    if text is None or not text.strip():
        return [_labelled(FrameLabels(), upload) for upload in uploads]
    if (values := text.count(b",")) > MAX_VALUES:
        raise BadParameter(f"metadata has {values:,} commas, at most {MAX_VALUES:,} are allowed; send less at once")
    try:
        given = from_json(text)
    except ValueError as error:
        raise BadParameter(f"metadata is not JSON ({error}); send an object, or a list with one per image") from error
    if not isinstance(given, list):
        labels = _checked(given, "metadata")
        if labels.boxes is not None and len(uploads) > 1:
            raise BadParameter(f"metadata has boxes for one of {len(uploads)} images; send one object per image")
        return [_labelled(labels, upload) for upload in uploads]
    if len(given) != len(uploads):  # before any entry is looked at
        raise BadParameter(f"metadata has {len(given):,} entries for {len(uploads)} images; send one per image")
    checked = [_checked(each, f"metadata[{place}]") for place, each in enumerate(given)]
    return [_labelled(labels, upload) for labels, upload in zip(checked, uploads, strict=True)]


async def add_uploads(
    service: Service,
    gallery: Gallery,
    uploads: Sequence[Upload],
    labels: Sequence[FrameLabels],
    visible: Collection[str] | None,
    *,
    relabel: bool,
) -> AddResultBody:
    """Decode, embed and store the images, a few at a time; the good ones are durable when this returns.

    An image is a duplicate only of items of the `visible` cameras (None: of all). Should it end early, what was stored
    by then stays, and sending the images again adds only the others.
    """
    settings = await service.threads.run(gallery.settings)
    rules = Rules(
        service.embedder.prepare,
        service.limits,
        settings.reject,
        settings.store_images,
        settings.retention_days,
    )
    cameras = camera_map(settings, service.bundle.manifest)
    sent = [Sent(index, *each) for index, each in enumerate(zip(uploads, labels, strict=True))]
    slots: list[_Slot] = []
    for few in chunked(sent, lambda each: each.size, most=BATCH):
        begin = perf_counter()
        new = await service.threads.run(partial(_prepare, gallery, few, rules, visible, service.metrics.rejected))
        service.metrics.stage("decode", (perf_counter() - begin) * 1000)
        ready = [slot for slot in new if slot.ready is not None]
        for start in range(0, len(ready), BATCH):
            await _embed_and_store(service, gallery, ready[start : start + BATCH], cameras, visible)
        slots += new
        await service.threads.run(partial(_compare, gallery, new, relabel))
    results = [slot.result for slot in slots]
    for result in results:
        if result.error is not None:
            service.metrics.rejected(result.error.slug)
    return _body(results)


async def _embed_and_store(
    service: Service,
    gallery: Gallery,
    slots: Sequence[_Slot],
    cameras: Mapping[str, str],
    visible: Collection[str] | None,
) -> None:
    items = [slot.ready for slot in slots if slot.ready is not None]
    learned = [cameras.get(item.label.camera_id or "") for item in items]
    embedded = await service.embedding.embed([item.pixels for item in items], learned)
    await service.threads.run(lambda: _store(gallery, slots, embedded.rows, learned, visible))


def _prepare(
    gallery: Gallery,
    sent: Sequence[Sent],
    rules: Rules,
    visible: Collection[str] | None,
    rejected: Callable[[str], None],
) -> list[_Slot]:
    images = [each.image() for each in sent]
    cameras = {name: label.camera_id for image in images for name, label in image.labels()}
    known = gallery.ids_by_hash(cameras, visible)
    slots: list[_Slot] = []
    rejections: Counter[tuple[str | None, str]] = Counter()
    for each, image in zip(sent, images, strict=True):
        unknown = AddedItem(index=each.index, source=image.name, status="error")
        try:
            outcomes = prepare_image(image, rules, known)
        except ImageError as error:
            slots.append(_Slot(unknown.model_copy(update={"error": image_problem(error)})))
            continue
        for outcome in outcomes:
            if isinstance(outcome, QualityRejected):
                rejections[outcome.camera_id, outcome.breach.rule] += 1
                rejected(outcome.breach.rule)
        for place, outcome in enumerate(outcomes):
            box = None if image.boxes is None else place
            slots.append(_slot(outcome, unknown.model_copy(update={"box": box}), known))
    for (camera_id, rule), n in rejections.items():
        gallery.count_rejection(camera_id, rule, n)
    return slots


def _slot(outcome: Outcome, unknown: AddedItem, known: Mapping[str, int]) -> _Slot:
    match outcome:
        case Prepared():
            return _Slot(unknown.model_copy(update={"warning": outcome.warning}), outcome, outcome.label)
        case Duplicate(image_hash, label):
            found = {"status": "duplicate", "id": known[image_hash], "duplicate": True}
            return _Slot(unknown.model_copy(update=found), label=label)
        case QualityRejected(breach=breach):
            found = {"status": "rejected", "reason": breach.reason}
        case InvalidBox(reason):
            found = {"error": problem_of(BadImage.slug, BadImage.status, f"box {unknown.box}: {reason}")}
    return _Slot(unknown.model_copy(update=found))


def _store(
    gallery: Gallery,
    slots: Sequence[_Slot],
    rows: Sequence[NDArray[np.float32] | EmbeddingFailed],
    learned: Sequence[str | None],
    visible: Collection[str] | None,
) -> None:
    made: list[_Slot] = []
    items = []
    for slot, row, camera in zip(slots, rows, learned, strict=True):
        if isinstance(row, EmbeddingFailed):
            slot.result = slot.result.model_copy(update={"error": problem_of(row.slug, row.status, str(row))})
        elif slot.ready is not None:
            made.append(slot)
            items.append(slot.ready.item(row, camera))
        slot.ready = None  # its pixels are not needed any more
    for slot, added in zip(made, gallery.add(items, cameras=visible), strict=True):
        found = {"status": "added", "id": added.id}
        if added.duplicate:
            found = {"status": "duplicate", "id": added.id, "duplicate": True, "warning": None}
        slot.result = slot.result.model_copy(update=found)


def _compare(gallery: Gallery, slots: Sequence[_Slot], relabel: bool) -> None:
    """Tell which labels of duplicates differ from the items', and with `relabel` change those."""
    for slot in slots:
        if slot.result.duplicate and slot.result.id is not None:
            found = relabelled(gallery, {slot.result.id: slot.label}, relabel=relabel)
            names = found.get(slot.result.id, ())
            update = {"differing": list(names), "relabelled": relabel and bool(names)}
            slot.result = slot.result.model_copy(update=update)


def _body(results: list[AddedItem]) -> AddResultBody:
    statuses = Counter(result.status for result in results)
    return AddResultBody(
        results=results,
        added=statuses["added"],
        duplicates=statuses["duplicate"],
        relabelled=sum(result.relabelled for result in results),
        rejected=statuses["rejected"],
        failed=statuses["error"],
    )


def _checked(given: object, place: str) -> FrameLabels:
    try:
        return FrameLabels.model_validate(given)
    except ValidationError as error:
        raise BadParameter(first_mistake(error, place, FrameLabels)) from error


def _labelled(given: FrameLabels, upload: Upload) -> FrameLabels:
    """What was said about an image; of a crop, what its file name says about what was left out. Null says: nobody."""
    name = label_of_name("" if given.boxes is not None else upload.name or "")
    named = {"camera_id": name.camera_id, "person_id": name.person_id}
    labels = given.model_copy(update={key: named[key] for key in named.keys() - given.model_fields_set})
    return labels.model_copy(update={"person_id": None}) if labels.person_id in NOBODY else labels
