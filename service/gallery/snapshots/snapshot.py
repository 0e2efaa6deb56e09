"""Snapshots: the search view on disk, so that opening a large gallery need not derive it again.

They lie in `snapshots/snapshot-000012/`. Each is written to a staging folder, made durable, then renamed, and the one
before it stays. They are a cache: one that is in any way doubtful is ignored, and the rows are read instead.
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
from vitreid.service.db import Fault, disk_fault
from vitreid.service.errors import GalleryError, UnknownName
from vitreid.service.gallery.errors import STORAGE_ERRORS
from vitreid.service.gallery.snapshots.checksummed import Checksummed
from vitreid.service.gallery.snapshots.trial import trial_fault
from vitreid.service.gallery.view.search_view import SearchView
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.files import IndexDamaged
from vitreid.service.values.messages import first_mistake
from vitreid.service.values.times import UtcTime

logger = logging.getLogger("vitreid")

FOLDER = "snapshots"
MANIFEST = "manifest.json"
FORMAT_VERSION = 1
MAX_SNAPSHOTS = 2
_NAME = re.compile(r"snapshot-(\d{6,})")
_STAGING = ".staging"
NOT_OURS = (ValueError, LookupError, TypeError, ArithmeticError, MemoryError)
"""Errors of numpy and json for foreign bytes."""


class SnapshotDamaged(GalleryError):
    """A snapshot is not what was written, or not of this gallery; the rows are read instead."""

    slug = "snapshot-damaged"
    status = 503


@dataclass(frozen=True)
class SnapshotSource:
    """The embeddings that a snapshot must be of to be used."""

    lineage: str
    bundle_id: str
    dimension: int
    generation: int
    """Number of the embeddings."""


class FileFacts(BaseModel):
    """Size and hash that a file must have before anything reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int
    sha256: str


class SnapshotManifest(Checksummed):
    """Description of a snapshot."""

    format_version: int
    created_at: UtcTime
    lineage: str
    bundle_id: str
    dimension: int
    generation: int
    seq: int
    """Position in the gallery's history; later changes are applied."""
    count: int
    index: str
    """Kind of the index."""
    faiss: str
    """Version of faiss that wrote it."""
    files: dict[str, FileFacts]


def snapshots(folder: Path) -> list[Path]:
    """Return the snapshots of a gallery's folder, newest first."""
    numbered = [(int(match[1]), path) for path in folder.glob(f"{FOLDER}/*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Make an empty folder to save into, for `publish`; it is removed where the block or publishing fails.

    Raises GalleryFull, GalleryReadOnly; the snapshots that were there stay.
    """
    place = folder / FOLDER / _STAGING
    with _disk_errors(place):
        shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
        place.mkdir(parents=True)
        yield place


def publish(place: Path, source: SnapshotSource, seq: int, count: int, index: str, now: datetime) -> None:
    """Describe what was saved, make it durable, put it in place, and remove all but it and the one before."""
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
    ).with_checksum()
    (place / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for name in (*facts, MANIFEST):
        sync(place / name)
    sync(place)
    older = snapshots(place.parent.parent)
    number = int(older[0].name.removeprefix("snapshot-")) + 1 if older else 1
    place.rename(place.with_name(f"snapshot-{number:06}"))
    sync(place.parent)
    remove_old_snapshots(place.parent.parent, MAX_SNAPSHOTS)


def remove_old_snapshots(folder: Path, newest: int) -> None:
    """Remove all snapshots but the newest ones, and what was left half written. Raises GalleryReadOnly.

    One that still has its name is whole: it loses that first.
    """
    place = folder / FOLDER / _STAGING
    with _disk_errors(place):
        if place.exists():
            shutil.rmtree(place)
        for path in snapshots(folder)[newest:]:
            path.rename(place)
            shutil.rmtree(place)
        if place.parent.exists():
            sync(place.parent)


def newest_manifest(folder: Path) -> SnapshotManifest | None:
    """Return the manifest of the newest snapshot that has a readable one."""
    for path in snapshots(folder):
        try:
            return SnapshotManifest.model_validate_json((path / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            continue
    return None


def open_newest(folder: Path, source: SnapshotSource, last_seq: int, last_id: int) -> SearchView | None:
    """Load the newest good snapshot; None where there is none, and the fault of each is logged."""
    for path in snapshots(folder):
        try:
            return open_snapshot(path, source, last_seq, last_id)
        except SnapshotDamaged as error:
            logger.warning("%s", error)
    return None


def open_snapshot(path: Path, source: SnapshotSource, last_seq: int, last_id: int) -> SearchView:
    """Load a snapshot, every byte of it checked and some searches tried. Raises SnapshotDamaged."""
    manifest = check_snapshot(path)
    found = SnapshotSource(manifest.lineage, manifest.bundle_id, manifest.dimension, manifest.generation)
    if found != source or manifest.seq > last_seq:
        raise SnapshotDamaged(f"{path} is not used: it is not a snapshot of this gallery's history")
    if manifest.faiss != _faiss_version():
        raise SnapshotDamaged(f"{path} is not used: faiss {manifest.faiss} wrote it, this is {_faiss_version()}")
    try:
        view = SearchView.load(path, manifest.index, manifest.dimension, manifest.seq, last_id)
    except (IndexDamaged, UnknownName, OSError, zipfile.BadZipFile, *NOT_OURS) as error:
        raise SnapshotDamaged(f"{path} is not used: it cannot be read ({error})") from error
    if {len(view.columns), len(view.index)} != {manifest.count}:
        raise SnapshotDamaged(f"{path} is not used: it holds {len(view.index)} items instead of {manifest.count}")
    if (fault := trial_fault(view, manifest.dimension)) is not None:
        raise SnapshotDamaged(f"{path} is not used: {fault}")
    return view


def check_snapshot(path: Path) -> SnapshotManifest:
    """Return the manifest of a snapshot after checking its files. Raises SnapshotDamaged."""
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
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        fault = disk_fault(error)
        remedy = "free some disk space" if fault is Fault.FULL else "check the disk and the folder's rights"
        raise STORAGE_ERRORS.types[fault](
            f"{place.parent} cannot be written ({error.strerror}); {remedy}; no row is lost"
        ) from error


def _faiss_version() -> str:
    return str(load_faiss().__version__)
