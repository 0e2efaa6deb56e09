"""A folder of crops or frames into a gallery."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.intake.boxes import BoxSource
from vitreid.service.intake.cameras import camera_map
from vitreid.service.intake.folders import Passed, scan_folder
from vitreid.service.intake.label_summary import LabelSummary
from vitreid.service.intake.prefetch import ahead
from vitreid.service.intake.preparing import Duplicate, Prepared, Rules
from vitreid.service.intake.reading import SkippedFile, crops_of, frames_of, prepared, unreadable_of
from vitreid.service.intake.relabelling import Differing, Duplicates
from vitreid.service.models.embedder import Embedder

Progress = Callable[[int, int], None]
"""Called with the number of items that are done and of all items."""


@dataclass(frozen=True)
class IndexReport:
    """What became of the crops of a folder, or of the boxes in its frames."""

    added: int
    """New items; in a dry run, those that would be."""
    duplicates: int
    """Items that were in the gallery already, or came twice."""
    bad: list[SkippedFile]
    """What cannot be read or shows no person."""
    rejected: list[SkippedFile]
    """What has not the quality that the gallery asks for."""
    seconds: float
    images_per_s: float
    """Items dealt with per second, of whatever outcome."""
    ignored: list[Passed] = field(default_factory=list)
    """Files that are no images by their suffix, and what else was passed over."""
    warnings: list[SkippedFile] = field(default_factory=list)
    """What is doubtful about items that were added all the same."""

    labels: LabelSummary | None = None
    """What was read about the images."""
    differing: list[Differing] = field(default_factory=list)
    """Those that were there already with other labels."""
    relabelled: int = 0
    """How many of them have the new labels now."""


class IndexingInterrupted(KeyboardInterrupt):
    """Ctrl-C came while indexing: what `report` counts is in the gallery, and the next run goes on from there."""

    def __init__(self, report: IndexReport) -> None:
        super().__init__(f"interrupted after {report.added:,} new items; the same command goes on from there")
        self.report = report


@dataclass
class _Tally:
    """Counts of one run, as far as it has come."""

    total: int
    ignored: list[Passed]
    labels: LabelSummary
    known: Duplicates
    progress: Progress | None
    added: int = 0
    duplicates: int = 0
    refused: list[SkippedFile] = field(default_factory=list)
    warnings: list[SkippedFile] = field(default_factory=list)
    told: int = 0
    """Those of `refused` that the gallery has counted."""
    started: float = field(default_factory=time.perf_counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, *, added: int = 0, duplicates: Collection[Duplicate | Prepared] = ()) -> None:
        with self.lock:  # the thread that commits counts, too
            self.added += added
            self.duplicates += len(duplicates)
            for each in duplicates:
                self.known.add(each.image_hash, each.name or "", each.label)

    @property
    def done(self) -> int:
        return self.added + self.duplicates + sum(each.items for each in self.refused)

    def show(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total)

    def tell(self, gallery: Gallery) -> None:
        """Let the gallery count the rejections since the last time."""
        new = self.refused[self.told :]
        self.told += len(new)
        for (camera_id, rule), n in Counter((each.camera_id, each.rule) for each in new if each.rule).items():
            gallery.count_rejection(camera_id, rule or "", n)

    def report(self) -> IndexReport:
        seconds = time.perf_counter() - self.started
        rate = self.done / seconds if seconds else 0.0
        bad = [each for each in self.refused if each.rule is None]
        rejected = [each for each in self.refused if each.rule is not None]
        differing = self.known.differing
        return IndexReport(
            self.added,
            self.duplicates,
            bad,
            rejected,
            seconds,
            rate,
            self.ignored,
            warnings=self.warnings,
            labels=self.labels,
            differing=differing,
            relabelled=len(differing) if self.known.relabel else 0,
        )


def index_images(
    folder: Path,
    gallery: Gallery,
    embedder: Embedder,
    *,
    table: Path | None = None,
    boxes: BoxSource | None = None,
    camera_id: str | None = None,
    pattern: NamePattern | None = None,
    relabel: bool = False,
    batch_size: int = 32,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> IndexReport:
    """Add all crops below a folder, or the persons in its frames where `boxes` says where they are, batch by batch.

    Labels of crops come from `table` (see `read_table`), `camera_id` and names, Market-style or by a `pattern`; those
    of boxes from their file. The gallery's settings say which quality is taken, whether images are kept, and which
    camera each is embedded with. Items that the gallery has are not decoded, so that a second run adds nothing and an
    interrupted one goes on; those with other labels are reported, and get the new ones with `relabel`. What cannot be
    used is reported and the rest indexed. A dry run reads and checks and adds nothing.

    Raises FolderNotFound, NoImages, TableError, NamePatternError, GalleryError; on Ctrl-C IndexingInterrupted, a
    KeyboardInterrupt with the report so far.
    """
    found = scan_folder(folder)
    tasks = crops_of(found, table, camera_id, pattern) if boxes is None else frames_of(found, boxes, pattern)
    settings = gallery.settings()
    rules = Rules(
        embedder.prepare,
        reject=settings.reject,
        keep_images=settings.store_images and not dry_run,
        retention_days=settings.retention_days,
    )
    labels = LabelSummary.of(label for task in tasks for label in task.labels)
    known = Duplicates(gallery, relabel=relabel and not dry_run)
    unreadable = unreadable_of(found)
    total = sum(task.items for task in tasks) + len(unreadable)
    tally = _Tally(total, found.ignored, labels, known, progress, refused=unreadable)
    try:
        with (
            closing(prepared(tasks, rules, _known_to(gallery), batch_size=batch_size)) as chunked,
            closing(_batches(chunked, batch_size, tally)) as batches,
        ):
            if dry_run:
                _pretend(batches, tally)
            else:
                _embed_and_add(batches, gallery, embedder, camera_map(settings, embedder.manifest), tally)
        known.flush()
    except KeyboardInterrupt as interrupt:
        raise IndexingInterrupted(tally.report()) from interrupt
    finally:
        if not dry_run:
            tally.tell(gallery)
    return tally.report()


def check_readable(
    folder: Path, *, table: Path | None = None, boxes: BoxSource | None = None, pattern: NamePattern | None = None
) -> None:
    """Find mistakes in a folder's names, table or boxes before anything is made of them.

    Raises FolderNotFound, NoImages, TableError, NamePatternError.
    """
    found = scan_folder(folder)
    if boxes is not None:
        frames_of(found, boxes, pattern)
    elif table is not None or pattern is not None:
        crops_of(found, table, None, pattern)


def _batches(
    chunked: Iterable[list[Prepared | Duplicate | SkippedFile]], batch_size: int, tally: _Tally
) -> Generator[list[Prepared], None, None]:
    """Batches of items that are neither refused nor known nor twice in a batch; the others are counted on the way."""
    batch: dict[str, Prepared] = {}
    for portion in chunked:
        for result in portion:
            if isinstance(result, SkippedFile):
                tally.refused.append(result)
            elif isinstance(result, Duplicate) or result.image_hash in batch:
                tally.count(duplicates=[result])
            else:
                batch[result.image_hash] = result
                if result.warning is not None:
                    tally.warnings.append(SkippedFile(result.name or "", result.warning))
            if len(batch) == batch_size:
                yield list(batch.values())
                batch = {}
        tally.show()
    if batch:
        yield list(batch.values())


def _known_to(gallery: Gallery) -> Callable[[Iterable[str]], Collection[str]]:
    return lambda hashes: gallery.ids_by_hash(dict.fromkeys(hashes))


def _embed_and_add(
    batches: Iterable[list[Prepared]], gallery: Gallery, embedder: Embedder, learned: Mapping[str, str], tally: _Tally
) -> None:
    """Run the model on each batch, while a thread commits the one before."""

    def items() -> Generator[list[tuple[Prepared, NewItem]], None, None]:
        committing: set[str] = set()
        for batch in batches:
            # A copy of an image may have been prepared before the first one was committed: it is not embedded again.
            known = committing.union(_known_to(gallery)(each.image_hash for each in batch))
            fresh = [each for each in batch if each.image_hash not in known]
            tally.count(duplicates=[each for each in batch if each.image_hash in known])
            cameras = [learned.get(each.label.camera_id or "") for each in fresh]
            embeddings = embedder.run([each.pixels for each in fresh], cameras)
            yield [(each, each.item(*made)) for each, *made in zip(fresh, embeddings, cameras, strict=True)]
            committing = {each.image_hash for each in fresh}
            tally.tell(gallery)

    def commit(new: list[tuple[Prepared, NewItem]]) -> None:
        results = gallery.add([item for _, item in new])
        duplicates = [each for (each, _), result in zip(new, results, strict=True) if result.duplicate]
        tally.count(added=len(new) - len(duplicates), duplicates=duplicates)

    with closing(ahead(commit, items(), workers=1)) as commits:
        for _ in commits:
            tally.show()


def _pretend(batches: Iterable[list[Prepared]], tally: _Tally) -> None:
    """Count what would be added."""
    seen: set[str] = set()
    for batch in batches:
        new = {each.image_hash for each in batch} - seen
        tally.count(added=len(new), duplicates=[each for each in batch if each.image_hash in seen])
        seen |= new
        tally.show()
