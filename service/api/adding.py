"""Uploads over HTTP: images in, a result for each item out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from vitreid.bundle import ImageError, ImageLimits, Manifest
from vitreid.service.api.metrics import Metrics
from vitreid.service.api.problems import image_problem, problem_of
from vitreid.service.api.schemas.items import AddedItem, AddResultBody
from vitreid.service.api.threads import Threads
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import BadImage
from vitreid.service.gallery import Gallery
from vitreid.service.intake.cameras import camera_map
from vitreid.service.intake.image_labels import FrameLabels
from vitreid.service.intake.outcomes import (
    Added,
    Duplicate,
    InvalidBox,
    NotEmbedded,
    Outcome,
    Prepared,
    QualityRejected,
    SkippedFile,
)
from vitreid.service.intake.pipeline import Intake
from vitreid.service.intake.preparing import ImageSource, IntakePolicy, chunked, source_size
from vitreid.service.models.batching import EmbeddingQueue

BATCH = 16


@dataclass(frozen=True)
class UploadHandler:
    """Takes in uploaded images: each step of the intake pipeline is awaited, so that other requests go on."""

    manifest: Manifest
    embedding: EmbeddingQueue
    limits: ImageLimits
    metrics: Metrics
    threads: Threads
    max_images: int
    """Of one request."""

    async def add(
        self,
        gallery: Gallery,
        uploads: Sequence[Upload],
        labels: Sequence[FrameLabels],
        visible: Collection[str] | None,
        *,
        relabel: bool,
    ) -> AddResultBody:
        """Add images, a few at a time; the good ones are durable when this returns.

        An image is a duplicate only of items of the `visible` cameras (None: of all). If it ends early, what was added
        by then stays, and sending the images again adds only the others.
        """
        settings = await self.threads.run(gallery.settings)
        policy = IntakePolicy.of(settings, self.embedding.prepare, self.limits)
        intake = Intake(gallery, policy, camera_map(settings, self.manifest), visible=visible, relabel=relabel)
        outcomes: list[Outcome] = []
        for chunk in chunked(_sources(uploads, labels), source_size, max_items=BATCH):
            outcomes += await self._take_in(intake, chunk)
        for reason in _rejections(outcomes):
            self.metrics.rejected(reason)
        return _body(outcomes)

    async def _take_in(self, intake: Intake, chunk: Sequence[ImageSource]) -> list[Outcome]:
        started = perf_counter()
        prepared = await self.threads.run(partial(intake.prepare, chunk))
        self.metrics.stage("decode", (perf_counter() - started) * 1000)
        batch = [each for each in prepared if isinstance(each, Prepared)]
        added: list[Outcome] = []
        for start in range(0, len(batch), BATCH):
            part = batch[start : start + BATCH]
            embedded = await self.embedding.embed([each.pixels for each in part], intake.model_cameras(part))
            added += await self.threads.run(partial(intake.add, part, embedded.rows))
        results = iter(added)
        merged = [next(results) if isinstance(each, Prepared) else each for each in prepared]
        return await self.threads.run(partial(intake.finish, merged))


def _sources(uploads: Sequence[Upload], labels: Sequence[FrameLabels]) -> list[ImageSource]:
    return [
        ImageSource(
            upload.name,
            read=partial(bytes, upload.content),
            size=len(upload.content),
            label=given.label(),
            boxes=given.person_boxes(),
            index=index,
        )
        for index, (upload, given) in enumerate(zip(uploads, labels, strict=True))
    ]


VALUES: Mapping[type[Outcome], Callable[[Any], dict[str, Any]]] = {
    Added: lambda each: {"status": "added", "id": each.item_id, "warning": each.warning},
    Duplicate: lambda each: {
        "status": "duplicate",
        "id": each.item_id,
        "duplicate": True,
        "differing": list(each.differing),
        "relabelled": each.relabelled,
    },
    QualityRejected: lambda each: {"status": "rejected", "reason": each.reason},
    InvalidBox: lambda each: {
        "status": "error",
        "error": problem_of(BadImage.slug, BadImage.status, f"box {each.provenance.box}: {each.reason}"),
    },
    SkippedFile: lambda each: {"status": "error", "error": image_problem(ImageError(each.path, each.reason))},
    NotEmbedded: lambda each: {
        "status": "error",
        "error": problem_of(each.error.slug, each.error.status, str(each.error)),
    },
}
"""The values of an AddedItem for each kind of outcome."""


def _rejections(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the reasons to count: the rule of quality, or the slug of the problem."""
    rules = [each.violation.rule for each in outcomes if isinstance(each, QualityRejected)]
    images = [BadImage.slug for each in outcomes if isinstance(each, InvalidBox | SkippedFile)]
    return rules + images + [each.error.slug for each in outcomes if isinstance(each, NotEmbedded)]


def _body(outcomes: Sequence[Outcome]) -> AddResultBody:
    results = [
        AddedItem(
            index=each.provenance.index,
            box=each.provenance.box,
            source=each.provenance.name,
            **VALUES[type(each)](each),
        )
        for each in outcomes
    ]
    statuses = Counter(result.status for result in results)
    return AddResultBody(
        results=results,
        added=statuses["added"],
        duplicates=statuses["duplicate"],
        relabelled=sum(result.relabelled for result in results),
        rejected=statuses["rejected"],
        failed=statuses["error"],
    )
