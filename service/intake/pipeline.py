"""The intake pipeline: images are prepared, embedded and added to a gallery; each item has one outcome.

Uploads (`POST /v1/items`) await one step after the other; folders (`vitreid index`, `vitreid embed`, dry runs) overlap
them: threads prepare the next images and one commits the last batch while the model runs.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageError
from vitreid.service.errors import EmbeddingFailed
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.items import Item, ItemChanges
from vitreid.service.intake.labels import Label
from vitreid.service.intake.outcomes import (
    Added,
    Duplicate,
    NotEmbedded,
    Outcome,
    Prepared,
    QualityRejected,
    SkippedFile,
)
from vitreid.service.intake.preparing import ImageSource, IntakePolicy, LoadedImage, chunked, prepare_image, source_size

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKERS = min(4, os.cpu_count() or 1)


def prefetch(
    work: Callable[[Task], Result], tasks: Iterable[Task], *, workers: int = WORKERS, depth: int = 2
) -> Generator[Result, None, None]:
    """Yield the results of `work` for each task, in order, computed by threads ahead of the caller.

    At most `workers` x `depth` results wait, so memory is bounded however many tasks there are. An exception of
    `work` is raised here. Closing the iterator early drops what has not begun and waits for what has.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) >= workers * depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


CHUNK_ITEMS = 8
MAX_OTHERS = 64
"""Outcomes besides prepared items that are held back for the next batch."""


@dataclass(frozen=True)
class Intake:
    """The steps of the pipeline for one gallery; each blocks, and may run in any thread."""

    gallery: Gallery | None
    """None: a dry run for a gallery that does not exist, or embedding without one."""
    policy: IntakePolicy
    cameras: Mapping[str, str] = field(default_factory=dict)
    """Model camera of each mapped camera of the gallery."""
    visible: Collection[str] | None = None
    """Cameras whose items count as duplicates; None: all."""
    relabel: bool = False
    """Duplicates give their labels to the items that are there."""

    def prepare(self, sources: Sequence[ImageSource]) -> list[Outcome]:
        """Read and prepare images: a Prepared, Duplicate, QualityRejected, InvalidBox or SkippedFile for each item."""
        images = [_load(source) for source in sources]
        cameras = {
            image_hash: provenance.label.camera_id
            for image in images
            if isinstance(image, LoadedImage)
            for image_hash, provenance in zip(image.hashes, image.source.provenances(), strict=True)
        }
        known = self.known(cameras)
        outcomes: list[Outcome] = []
        for image in images:
            outcomes += prepare_image(image, self.policy, known) if isinstance(image, LoadedImage) else [image]
        return outcomes

    def model_cameras(self, batch: Sequence[Prepared]) -> list[str | None]:
        """Return the camera that each item is embedded with; None: unknown to the model."""
        return [self.cameras.get(each.provenance.label.camera_id or "") for each in batch]

    def add(
        self, batch: Sequence[Prepared], embeddings: Sequence[NDArray[np.float32] | EmbeddingFailed]
    ) -> list[Outcome]:
        """Add embedded items to the gallery, durable on return: an Added, Duplicate or NotEmbedded for each."""
        assert self.gallery is not None
        made = [
            (each, each.item(row, camera))
            for each, row, camera in zip(batch, embeddings, self.model_cameras(batch), strict=True)
            if not isinstance(row, EmbeddingFailed)
        ]
        results = iter(self.gallery.add([item for _, item in made], cameras=self.visible))
        outcomes: list[Outcome] = []
        for each, row in zip(batch, embeddings, strict=True):
            if isinstance(row, EmbeddingFailed):
                outcomes.append(NotEmbedded(each.provenance, row))
            elif (result := next(results)).duplicate:
                outcomes.append(Duplicate(each.provenance, each.image_hash, result.id))
            else:
                outcomes.append(Added(each.provenance, result.id, each.warning))
        return outcomes

    def finish(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Count rejections in the gallery, and compare the labels of duplicates (see `compare`)."""
        if self.gallery is not None:
            rejections = Counter(
                (each.provenance.label.camera_id, each.violation.rule)
                for each in outcomes
                if isinstance(each, QualityRejected)
            )
            for (camera_id, rule), count in rejections.items():
                self.gallery.count_rejection(camera_id, rule, count)
        return self.compare(outcomes)

    def compare(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Complete duplicates: the item, the labels that differ from its own and, with `relabel`, are its own now."""
        duplicates = [each for each in outcomes if isinstance(each, Duplicate)]
        if self.gallery is None or not duplicates:
            return list(outcomes)
        copies = {each.image_hash: each.provenance.label.camera_id for each in duplicates if each.item_id is None}
        ids = self.known(copies) if copies else {}
        located = {id(each): each.item_id or ids.get(each.image_hash) for each in duplicates}
        items = self.gallery.items_of([item_id for item_id in located.values() if item_id is not None])
        return [
            self._compared(self.gallery, each, located[id(each)], items) if isinstance(each, Duplicate) else each
            for each in outcomes
        ]

    def _compared(
        self, gallery: Gallery, duplicate: Duplicate, item_id: int | None, items: dict[int, Item]
    ) -> Duplicate:
        if item_id is None or item_id not in items:  # a copy within a dry run, or deleted meanwhile
            return duplicate
        changes = differences(items[item_id], duplicate.provenance.label)
        if changes and self.relabel:
            with suppress(ItemNotFound):  # deleted meanwhile
                items[item_id] = gallery.update(item_id, changes)
        relabelled = self.relabel and bool(changes)
        return replace(duplicate, item_id=item_id, differing=tuple(changes), relabelled=relabelled)

    def known(self, cameras: Mapping[str, str | None]) -> dict[str, int]:
        """Return the ids of items with these hashes, each given with the camera of its image."""
        return {} if self.gallery is None else self.gallery.ids_by_hash(cameras, self.visible)


def batches(
    sources: Sequence[ImageSource], intake: Intake, *, batch_size: int, distinct: bool = True
) -> Generator[tuple[list[Prepared], list[Outcome]], None, None]:
    """Prepare images in threads: batches of items, each with the other outcomes since the batch before.

    With `distinct`, copies within a batch are duplicates. Closing it early stops the threads.
    """
    # Two batches ahead: while the model runs, the next batch gets ready however unevenly the cores are shared.
    depth = 1 + 2 * batch_size // (CHUNK_ITEMS * WORKERS)
    batch: dict[object, Prepared] = {}
    others: list[Outcome] = []
    with closing(
        prefetch(intake.prepare, chunked(sources, source_size, max_items=CHUNK_ITEMS), depth=depth)
    ) as prepared:
        for outcome in chain.from_iterable(prepared):
            if not isinstance(outcome, Prepared):
                others.append(outcome)
            elif distinct and outcome.image_hash in batch:
                others.append(Duplicate(outcome.provenance, outcome.image_hash))
            else:
                batch[outcome.image_hash if distinct else len(batch)] = outcome
            if len(batch) == batch_size:
                yield list(batch.values()), others
                batch, others = {}, []
            elif len(others) >= MAX_OTHERS:
                yield [], others
                others = []
    yield list(batch.values()), others


def without_known(
    intake: Intake, prepared: Iterable[tuple[list[Prepared], list[Outcome]]]
) -> Generator[tuple[list[Prepared], list[Outcome]], None, None]:
    """Turn items that were committed after they were prepared, or are in the batch before, into duplicates."""
    before: set[str] = set()
    for batch, others in prepared:
        known = before.union(intake.known({each.image_hash: None for each in batch}))
        fresh = [each for each in batch if each.image_hash not in known]
        copies = [Duplicate(each.provenance, each.image_hash) for each in batch if each.image_hash in known]
        yield fresh, [*others, *copies]
        before = {each.image_hash for each in fresh} or before


def differences(item: Item, label: Label) -> ItemChanges:
    """Return the labels that differ from the item's. A missing label changes nothing, so none is cleared."""
    changes: ItemChanges = {}
    if label.person_id not in (None, item.person_id):
        changes["person_id"] = label.person_id
    if label.camera_id not in (None, item.camera_id):
        changes["camera_id"] = label.camera_id
    if label.track_id not in (None, item.track_id):
        changes["track_id"] = label.track_id
    if label.captured_at not in (None, item.captured_at):
        changes["captured_at"] = label.captured_at
    if (metadata := {**item.metadata, **label.metadata}) != item.metadata:
        changes["metadata"] = metadata
    return changes


def _load(source: ImageSource) -> LoadedImage | SkippedFile:
    try:
        return LoadedImage(source, source.read())
    except ImageError as error:
        return source.skipped(error)
