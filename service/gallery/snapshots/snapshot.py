"""Snapshots: what is derived from the rows, on disk, so that opening a large gallery need not derive it again.

Generations lie in `snapshots/generation-000012/`. Each is written aside, made durable, then renamed, and the one before
it is kept. They are a cache: one that is in any way doubtful is passed over, and the rows are read instead.
"""

from __future__ import annotations

import logging
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vitreid.bundle.atomic import sync
from vitreid.bundle.checksum import sha256_of
from vitreid.service.errors import GalleryError, UnknownName
from vitreid.service.gallery.errors import GalleryFull
from vitreid.service.gallery.snapshots.checksummed import Sealed
from vitreid.service.gallery.snapshots.trial import trial_fault
from vitreid.service.gallery.storage_errors import refused
from vitreid.service.gallery.view.search_view import SearchView
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.files import IndexDamaged
from vitreid.service.values.messages import first_mistake
from vitreid.service.values.times import UtcTime

logger = logging.getLogger("vitreid")

FOLDER = "snapshots"
MANIFEST = "manifest.json"
FORMAT_VERSION = 1
KEPT = 2
_NAME = re.compile(r"generation-(\d{6,})")
_ASIDE = ".generation-aside"
NOT_OURS = (ValueError, LookupError, TypeError, ArithmeticError, MemoryError)
"""What numpy and json raise for what we did not write."""


class SnapshotDamaged(GalleryError):
    """A snapshot is not what was written, or not of this gallery; the rows are read instead."""

    slug = "snapshot-damaged"
    status = 503


@dataclass(frozen=True)
class Source:
    """What a snapshot must come from to be used."""

    lineage: str
    bundle_id: str
    dimension: int
    generation: int
    """Number of the embeddings."""


class FileFacts(BaseModel):
    """What a file must be before anything reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int
    sha256: str


class SnapshotManifest(Sealed):
    """What a snapshot holds."""

    format_version: int
    created_at: UtcTime
    lineage: str
    bundle_id: str
    dimension: int
    generation: int
    seq: int
    """Position in the gallery's history; what came later is replayed."""
    count: int
    index: str
    """Kind of the index."""
    faiss: str
    """Version of faiss that wrote it."""
    files: dict[str, FileFacts]


def generations(folder: Path) -> list[Path]:
    """The snapshots of a gallery's folder, newest first."""
    numbered = [(int(match[1]), path) for path in folder.glob(f"{FOLDER}/*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """An empty folder to save into, for `publish`; it is gone where the block or publishing fails.

    Raises GalleryFull and GalleryReadOnly for what the disk refuses; the snapshots that were there stay.
    """
    place = folder / FOLDER / _ASIDE
    with _told(place):
        shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
        place.mkdir(parents=True)
        yield place


def publish(place: Path, source: Source, seq: int, count: int, index: str, now: datetime) -> None:
    """Describe what was saved aside, make it durable, put it in place, and remove all but it and the one before."""
    facts = {
        path.name: FileFacts(bytes=path.stat().st_size, sha256=sha256_of(path)) for path in sorted(place.iterdir())
    }
    manifest = SnapshotManifest(
        format_version=FORMAT_VERSION,
        created_at=now,
        **vars(source),
        seq=seq,
        count=count,
        index=index,
        faiss=_faiss_version(),
        files=facts,
    ).sealed()
    (place / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for name in (*facts, MANIFEST):
        sync(place / name)
    sync(place)
    older = generations(place.parent.parent)
    number = int(older[0].name.removeprefix("generation-")) + 1 if older else 1
    place.rename(place.with_name(f"generation-{number:06}"))
    sync(place.parent)
    remove_but(place.parent.parent, KEPT)


def remove_but(folder: Path, newest: int) -> None:
    """Remove all snapshots but the newest ones, and what was left half written. Raises GalleryReadOnly.

    One that still has its name is whole: it loses that first.
    """
    place = folder / FOLDER / _ASIDE
    with _told(place):
        if place.exists():
            shutil.rmtree(place)
        for path in generations(folder)[newest:]:
            path.rename(place)
            shutil.rmtree(place)
        if place.parent.exists():
            sync(place.parent)


def newest_manifest(folder: Path) -> SnapshotManifest | None:
    """The manifest of the newest snapshot that has a readable one."""
    for path in generations(folder):
        try:
            return SnapshotManifest.model_validate_json((path / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            continue
    return None


def open_newest(folder: Path, source: Source, last_seq: int, last_id: int) -> SearchView | None:
    """What the newest good snapshot holds; None where there is none, and the log says what is wrong with each."""
    for path in generations(folder):
        try:
            return open_snapshot(path, source, last_seq, last_id)
        except SnapshotDamaged as error:
            logger.warning("%s", error)
    return None


def open_snapshot(path: Path, source: Source, last_seq: int, last_id: int) -> SearchView:
    """What a snapshot holds, every byte of it checked and some searches tried before it is used.

    Raises SnapshotDamaged.
    """
    manifest = check_snapshot(path)
    found = Source(manifest.lineage, manifest.bundle_id, manifest.dimension, manifest.generation)
    if found != source or manifest.seq > last_seq:
        raise SnapshotDamaged(f"{path} is not used: it is not a snapshot of this gallery's history")
    if manifest.faiss != _faiss_version():
        raise SnapshotDamaged(f"{path} is not used: faiss {manifest.faiss} wrote it, this is {_faiss_version()}")
    try:
        mirror = SearchView.load(path, manifest.index, manifest.dimension, manifest.seq, last_id)
    except (IndexDamaged, UnknownName, OSError, zipfile.BadZipFile, *NOT_OURS) as error:
        raise SnapshotDamaged(f"{path} is not used: it cannot be read ({error})") from error
    if {len(mirror.columns), len(mirror.index)} != {manifest.count}:
        raise SnapshotDamaged(f"{path} is not used: it holds {len(mirror.index)} items instead of {manifest.count}")
    if (fault := trial_fault(mirror, manifest.dimension)) is not None:
        raise SnapshotDamaged(f"{path} is not used: {fault}")
    return mirror


def check_snapshot(path: Path) -> SnapshotManifest:
    """The manifest of a snapshot whose files are what was written. Raises SnapshotDamaged."""
    try:
        manifest = SnapshotManifest.model_validate_json((path / MANIFEST).read_bytes())
        if manifest.format_version != FORMAT_VERSION:
            raise SnapshotDamaged(f"{path} is not used: it has format_version {manifest.format_version}")
        for name, facts in manifest.files.items():
            if (path / name).stat().st_size != facts.bytes or sha256_of(path / name) != facts.sha256:
                raise SnapshotDamaged(f"{path} is not used: {name} is not what was written")
    except OSError as error:
        raise SnapshotDamaged(f"{path} is not used: {error.filename} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise SnapshotDamaged(f"{path} is not used: {MANIFEST}: {first_mistake(error)}") from error
    return manifest


@contextmanager
def _told(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        kind = refused(error)
        remedy = "free some disk space" if kind is GalleryFull else "check the disk and the folder's rights"
        raise kind(f"{place.parent} cannot be written ({error.strerror}); {remedy}; no row is lost") from error


def _faiss_version() -> str:
    return str(load_faiss().__version__)
