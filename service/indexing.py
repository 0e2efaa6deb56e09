"""A folder of images into a gallery, or into embeddings: files are prepared by threads ahead of the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.ahead import WORKERS, ahead
from service.embedder import Embedder
from service.gallery import Gallery, NewItem
from service.intake import (
    FILES_AT_ONCE,
    BadImage,
    ImageFile,
    Known,
    Prepared,
    chunks_of,
    find_images,
    prepare_files,
    scan_folder,
)
from service.labels import Label, label_of_name, read_table

__all__ = [
    "BadImage",
    "EmbeddedImages",
    "IndexReport",
    "IndexingInterrupted",
    "Progress",
    "embed_images",
    "find_images",
    "index_images",
]

Progress = Callable[[int, int], None]
"""Called with the number of files that are done and of all files."""


@dataclass(frozen=True)
class IndexReport:
    """What became of the files of a folder."""

    added: int
    """New items; in a dry run, those that would be."""
    duplicates: int
    """Files whose bytes were in the gallery already, or came twice."""
    bad: list[BadImage]
    seconds: float
    images_per_s: float
    """Files dealt with per second, of whatever outcome."""
    ignored: int = 0
    """Files that are no images by their suffix."""


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The embeddings of a folder."""

    paths: list[str]
    """(N,) relative to the folder, with slashes."""
    embeddings: NDArray[np.float32]
    """(N, D), unit length."""
    bad: list[BadImage]


class IndexingInterrupted(KeyboardInterrupt):
    """Ctrl-C came while indexing: what `report` counts is in the gallery, and the next run goes on from there."""

    def __init__(self, report: IndexReport) -> None:
        super().__init__(f"interrupted after {report.added:,} new items; the same command goes on from there")
        self.report = report


@dataclass
class _Tally:
    """Counts of one run, as far as it has come."""

    total: int
    ignored: int
    progress: Progress | None
    added: int = 0
    duplicates: int = 0
    bad: list[BadImage] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, *, added: int = 0, duplicates: int = 0) -> None:
        with self.lock:  # the thread that commits counts, too
            self.added += added
            self.duplicates += duplicates

    @property
    def done(self) -> int:
        return self.added + self.duplicates + len(self.bad)

    def show(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total)

    def report(self) -> IndexReport:
        seconds = time.perf_counter() - self.started
        rate = self.done / seconds if seconds else 0.0
        return IndexReport(self.added, self.duplicates, list(self.bad), seconds, rate, self.ignored)


def index_images(
    folder: Path,
    gallery: Gallery,
    embedder: Embedder,
    *,
    table: Path | None = None,
    batch_size: int = 32,
    dry_run: bool = False,
    store_pictures: bool = True,
    progress: Progress | None = None,
) -> IndexReport:
    """Add all images below a folder to a gallery, committed batch by batch.

    Labels come from Market-style names and from `table` (see `read_table`). Files whose bytes the gallery has are not
    decoded, so that a second run adds nothing and an interrupted one goes on. Files that cannot be used are reported
    and the others indexed. A dry run reads and checks every file and adds nothing.

    Raises FolderNotFound, NoImages, TableError, GalleryError; on Ctrl-C IndexingInterrupted, a KeyboardInterrupt
    with the report so far.
    """
    found = scan_folder(folder)
    labels = _labels(found.files, table)
    tally = _Tally(len(found.files), found.ignored, progress)
    try:
        with closing(_new_images(found.files, gallery, embedder, batch_size, tally, store_pictures)) as batches:
            if dry_run:
                _pretend(batches, tally)
            else:
                _embed_and_add(batches, gallery, embedder, labels, tally)
    except KeyboardInterrupt as interrupt:
        raise IndexingInterrupted(tally.report()) from interrupt
    return tally.report()


def embed_images(
    folder: Path,
    embedder: Embedder,
    *,
    table: Path | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> EmbeddedImages:
    """Embed all images below a folder, each with the camera of its label.

    Raises FolderNotFound, NoImages, TableError.
    """
    files = scan_folder(folder).files
    labels = _labels(files, table)
    names: list[str] = []
    bad: list[BadImage] = []
    embeddings = [np.empty((0, embedder.dimension), dtype=np.float32)]

    def prepare(chunk: Sequence[ImageFile]) -> list[Prepared | Known | BadImage]:
        return prepare_files(chunk, embedder.prepare, with_pictures=False)

    def finish(batch: list[Prepared]) -> None:
        embeddings.append(_embed(batch, embedder, labels))
        names.extend(image.name for image in batch)
        if progress is not None:
            progress(len(names) + len(bad), len(files))

    batch: list[Prepared] = []
    with closing(ahead(prepare, chunks_of(files), depth=_depth(batch_size))) as chunks:
        for result in (result for chunk in chunks for result in chunk):
            if isinstance(result, BadImage):
                bad.append(result)
            elif isinstance(result, Prepared):
                batch.append(result)
            if len(batch) == batch_size:
                finish(batch)
                batch = []
    finish(batch)
    return EmbeddedImages(names, np.concatenate(embeddings), bad)


def _new_images(
    files: Sequence[ImageFile],
    gallery: Gallery,
    embedder: Embedder,
    batch_size: int,
    tally: _Tally,
    store_pictures: bool,
) -> Generator[list[Prepared], None, None]:
    """Batches of images that are neither bad nor known nor twice in a batch; the others are counted on the way."""

    def prepare(chunk: Sequence[ImageFile]) -> list[Prepared | Known | BadImage]:
        return prepare_files(chunk, embedder.prepare, known_hashes=gallery.known_hashes, with_pictures=store_pictures)

    batch: dict[str, Prepared] = {}
    with closing(ahead(prepare, chunks_of(files), depth=_depth(batch_size))) as chunks:
        for chunk in chunks:
            for result in chunk:
                if isinstance(result, BadImage):
                    tally.bad.append(result)
                elif isinstance(result, Known) or result.image_hash in batch:
                    tally.count(duplicates=1)
                else:
                    batch[result.image_hash] = result
                if len(batch) == batch_size:
                    yield list(batch.values())
                    batch = {}
            tally.show()
    if batch:
        yield list(batch.values())


def _embed_and_add(
    batches: Iterable[list[Prepared]], gallery: Gallery, embedder: Embedder, labels: dict[str, Label], tally: _Tally
) -> None:
    """Run the model on each batch, while a thread commits the one before."""

    def items() -> Generator[list[NewItem], None, None]:
        committing: set[str] = set()
        for batch in batches:
            # A copy of an image may have been prepared before the first one was committed: it is not embedded again.
            known = committing | gallery.known_hashes(image.image_hash for image in batch)
            fresh = [image for image in batch if image.image_hash not in known]
            tally.count(duplicates=len(batch) - len(fresh))
            embeddings = _embed(fresh, embedder, labels)
            yield [
                _new_item(image, labels[image.name], embedding)
                for image, embedding in zip(fresh, embeddings, strict=True)
            ]
            committing = {image.image_hash for image in fresh}

    def commit(new: list[NewItem]) -> None:
        duplicates = sum(result.duplicate for result in gallery.add(new))
        tally.count(added=len(new) - duplicates, duplicates=duplicates)

    with closing(ahead(commit, items(), workers=1)) as commits:
        for _ in commits:
            tally.show()


def _pretend(batches: Iterable[list[Prepared]], tally: _Tally) -> None:
    """Count what would be added."""
    seen: set[str] = set()
    for batch in batches:
        new = {image.image_hash for image in batch} - seen
        tally.count(added=len(new), duplicates=len(batch) - len(new))
        seen |= new
        tally.show()


def _embed(batch: list[Prepared], embedder: Embedder, labels: dict[str, Label]) -> NDArray[np.float32]:
    return embedder.run([image.pixels for image in batch], [labels[image.name].camera_id for image in batch])


def _new_item(image: Prepared, label: Label, embedding: NDArray[np.float32]) -> NewItem:
    return NewItem(
        embedding=embedding,
        image_hash=image.image_hash,
        picture=image.picture,
        camera_id=label.camera_id,
        person_id=label.person_id,
        track_id=label.track_id,
        captured_at=label.captured_at,
        source=image.name,
        metadata=label.metadata,
    )


def _depth(batch_size: int) -> int:
    # Two batches ahead: while the model runs, the next batch gets ready however unevenly the cores are shared.
    return 1 + 2 * batch_size // (FILES_AT_ONCE * WORKERS)


def _labels(files: Sequence[ImageFile], table: Path | None) -> dict[str, Label]:
    if table is None:
        return {file.name: label_of_name(file.path.name) for file in files}
    return read_table(table, [file.name for file in files])
