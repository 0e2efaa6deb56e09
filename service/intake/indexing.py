"""Folders into galleries, and into embeddings without a gallery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageLimits
from vitreid.bundle.preprocess import DEFAULT_LIMITS
from vitreid.service.gallery import Gallery, GallerySettings
from vitreid.service.intake.cameras import camera_map
from vitreid.service.intake.folders import FolderImages, SkippedEntry
from vitreid.service.intake.labels import LabelSummary
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
from vitreid.service.intake.pipeline import Intake, batches, prefetch, without_known
from vitreid.service.intake.preparing import IntakePolicy
from vitreid.service.models.embedder import Embedder
from vitreid.service.values.files import atomic_write

Progress = Callable[[int, int], None]
"""Called with the number of items that are done and of all items."""


@dataclass
class IndexReport:
    """The outcomes of a folder so far; safe to add to from several threads."""

    total: int
    """Items of the folder."""
    ignored: list[SkippedEntry] = field(default_factory=list)
    labels: LabelSummary | None = None
    added: int = 0
    """New items; in a dry run, those that would be."""
    duplicates: int = 0
    """Items that were in the gallery already, or came twice."""
    relabelled: int = 0
    """Duplicates whose items have the given labels now."""
    bad: list[SkippedFile | InvalidBox | NotEmbedded] = field(default_factory=list)
    """Images that cannot be read, and boxes that show no person."""
    rejected: list[QualityRejected] = field(default_factory=list)
    warnings: list[Added] = field(default_factory=list)
    """New items with doubtful labels."""
    differing: list[Duplicate] = field(default_factory=list)
    """Duplicates with other labels than their items."""
    done: int = 0
    seconds: float = 0.0
    """Since the start, updated with each addition."""
    _started: float = field(default_factory=time.perf_counter, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def images_per_s(self) -> float:
        """Items of any outcome per second."""
        return self.done / self.seconds if self.seconds else 0.0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes."""
        with self._lock:
            for outcome in outcomes:
                self.done += outcome.items
                _COUNT[type(outcome)](self, outcome)
            self.seconds = time.perf_counter() - self._started

    def _count_added(self, outcome: Added) -> None:
        self.added += 1
        if outcome.warning is not None:
            self.warnings.append(outcome)

    def _count_duplicate(self, outcome: Duplicate) -> None:
        self.duplicates += 1
        self.relabelled += outcome.relabelled
        if outcome.differing:
            self.differing.append(outcome)


_COUNT: Mapping[type[Outcome], Callable[[IndexReport, Any], None]] = {
    Added: IndexReport._count_added,
    Duplicate: IndexReport._count_duplicate,
    QualityRejected: lambda report, outcome: report.rejected.append(outcome),
    InvalidBox: lambda report, outcome: report.bad.append(outcome),
    SkippedFile: lambda report, outcome: report.bad.append(outcome),
    NotEmbedded: lambda report, outcome: report.bad.append(outcome),
}


class IndexingInterrupted(KeyboardInterrupt):
    """Ctrl-C came while indexing: what `report` counts is in the gallery, and another run resumes."""

    def __init__(self, report: IndexReport) -> None:
        super().__init__(f"interrupted after {report.added:,} new items; run the same command again to resume")
        self.report = report


def index_folder(
    images: FolderImages,
    gallery: Gallery | None,
    embedder: Embedder,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    relabel: bool = False,
    batch_size: int = 32,
    dry_run: bool = False,
    progress: Progress = lambda done, total: None,
) -> IndexReport:
    """Add the images of a folder to a gallery, batch by batch.

    The gallery's settings say which quality is taken, whether images are stored, and which camera each is embedded
    with. Items that the gallery has are not decoded, so that a second run adds nothing and resumes an interrupted one;
    those with other labels are reported, and get the new ones with `relabel`. What cannot be used is reported and the
    rest indexed. A dry run reads and checks and adds nothing; only there `gallery` may be None.

    Raises GalleryError; on Ctrl-C IndexingInterrupted, a KeyboardInterrupt with the report so far.
    """
    settings = GallerySettings() if gallery is None else gallery.settings()
    policy = IntakePolicy.of(settings, embedder.prepare, limits)
    if dry_run:
        policy = replace(policy, store_images=False)
    intake = Intake(gallery, policy, camera_map(settings, embedder.manifest), relabel=relabel and not dry_run)
    report = IndexReport(images.items, images.ignored, LabelSummary.of(images.labels()))
    report.add(images.unreadable)
    prepared = batches(images.sources, intake, batch_size=batch_size)
    steps = _dry_run(prepared, intake, report) if dry_run else _embed_and_add(prepared, intake, embedder, report)
    try:
        with closing(prepared), closing(steps):
            for _ in steps:
                progress(report.done, report.total)
    except KeyboardInterrupt as interrupt:
        raise IndexingInterrupted(report) from interrupt
    return report


Batches = Generator[tuple[list[Prepared], list[Outcome]], None, None]


def _embed_and_add(
    prepared: Batches, intake: Intake, embedder: Embedder, report: IndexReport
) -> Generator[None, None, None]:
    """Run the model on each batch, while a thread commits the one before."""

    def embedded() -> Iterator[tuple[list[Prepared], NDArray[np.float32], list[Outcome]]]:
        for batch, others in without_known(intake, prepared):
            yield batch, embedder.run([each.pixels for each in batch], intake.model_cameras(batch)), others

    def commit(step: tuple[list[Prepared], NDArray[np.float32], list[Outcome]]) -> None:
        batch, rows, others = step
        added = intake.add(batch, list(rows)) if batch else []
        report.add(intake.finish([*added, *others]))

    return prefetch(commit, embedded(), workers=1)


def _dry_run(prepared: Batches, intake: Intake, report: IndexReport) -> Generator[None, None, None]:
    """Count what would be added."""
    seen: set[str] = set()
    for batch, others in prepared:
        copies = [Duplicate(each.provenance, each.image_hash) for each in batch if each.image_hash in seen]
        new = [Added(each.provenance, None, each.warning) for each in batch if each.image_hash not in seen]
        seen |= {each.image_hash for each in batch}
        report.add(intake.compare([*new, *copies, *others]))
        yield


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The embeddings of a folder."""

    paths: list[str]
    """(N,) relative to the folder, with slashes."""
    embeddings: NDArray[np.float32]
    """(N, D), unit length."""
    bad: list[SkippedFile]
    """Images that cannot be read."""
    ignored: list[SkippedEntry]

    def save(self, out: Path) -> None:
        """Write the arrays `path` and `embedding` to an .npz, which appears whole or not at all. Raises CannotWrite."""
        with atomic_write(out) as file:
            paths = np.array(self.paths, dtype=np.str_)
            np.savez(file, allow_pickle=False, path=paths, embedding=self.embeddings)


def embed_folder(
    images: FolderImages,
    embedder: Embedder,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    batch_size: int = 32,
    progress: Progress = lambda done, total: None,
) -> EmbeddedImages:
    """Embed the images of a folder, each with the camera of its label if the model was trained with it."""
    intake = Intake(None, IntakePolicy(embedder.prepare, limits, store_images=False))
    paths: list[str] = []
    bad = list(images.unreadable)
    embeddings = [np.empty((0, embedder.dimension), dtype=np.float32)]
    with closing(batches(images.sources, intake, batch_size=batch_size, distinct=False)) as prepared:
        for batch, others in prepared:
            cameras = [each.provenance.label.camera_id for each in batch]
            embeddings.append(embedder.run([each.pixels for each in batch], cameras))
            paths += [each.path for each in batch]
            bad += [each for each in others if isinstance(each, SkippedFile)]
            progress(len(paths) + len(bad), images.items)
    return EmbeddedImages(paths, np.concatenate(embeddings), bad, images.ignored)
