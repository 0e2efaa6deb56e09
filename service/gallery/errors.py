"""Errors of galleries, and those that storage faults become.

ServiceError
├── GalleryError
│   ├── GalleryNotFound        no gallery in this folder, and none was to be made
│   ├── NotAGallery            the folder holds something else
│   ├── GalleryDamaged         the database cannot be read, or contradicts itself
│   ├── GalleryTooNew          written by a later version of this program
│   ├── GalleryBusy            another process holds the write lock for too long
│   ├── GalleryReadOnly        the folder or file cannot be written (or opened)
│   ├── GalleryOutOfFiles      this process may open no more files
│   ├── GalleryFull            the disk is full
│   ├── BundleMismatch         the gallery's embeddings come from another model
│   ├── GalleryNeeded          the gallery that always exists was to be dropped
│   ├── GalleryExists          a gallery stands where a backup was to be restored
│   ├── BackupDamaged          the folder is no backup, or not a whole one
│   ├── BackupNotFound         no backup of this id is known, or its folder is not where it was written
│   ├── GenerationNotFound     no embeddings of this generation, or none that may be dropped
│   └── ImagesMissing          items have no image that can be read, and it is needed
├── ItemNotFound               no item with this id (any more)
├── ImageMismatch              an item has another image than the one that somebody looked at
├── PersonNotFound             no item has this label
└── ErasureNotFound            no erasure with this id
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitreid.service.db import Fault, StorageErrors, disk_fault
from vitreid.service.errors import GalleryError, ServiceError


class GalleryNotFound(GalleryError):
    """There is no gallery where one was named."""

    slug = "gallery-not-found"
    status = 404


class NotAGallery(GalleryError):
    """The folder exists and holds something that is not a gallery."""

    slug = "not-a-gallery"
    status = 409


class GalleryDamaged(GalleryError):
    """The database is unreadable or contradicts itself."""

    slug = "gallery-damaged"
    status = 503

    @classmethod
    def at(cls, path: Path, reason: str) -> GalleryDamaged:
        """Return the error for a damaged file."""
        return cls(f"{path} is damaged ({reason}); {REMEDY_DAMAGED}")


class GalleryTooNew(GalleryError):
    """The gallery's format is newer than this program."""

    slug = "gallery-too-new"
    status = 503


class GalleryBusy(GalleryError):
    """Another writer holds the gallery for longer than we wait."""

    slug = "gallery-busy"
    status = 503


class GalleryReadOnly(GalleryError):
    """The gallery's files cannot be opened or written by this user."""

    slug = "gallery-read-only"
    status = 503


class GalleryOutOfFiles(GalleryError):
    """The process may open no more files, so the gallery's cannot be opened."""

    slug = "gallery-out-of-files"
    status = 503


class GalleryFull(GalleryError):
    """No space is left for another row."""

    slug = "gallery-full"
    status = 507


class BundleMismatch(GalleryError):
    """The gallery was made with another bundle: its embeddings cannot be compared with ours."""

    slug = "bundle-mismatch"
    status = 409


class GalleryNeeded(GalleryError):
    """The gallery that always exists cannot be dropped."""

    slug = "gallery-needed"
    status = 409


class GalleryExists(GalleryError):
    """A gallery stands where a backup was to be restored."""

    slug = "gallery-exists"
    status = 409


class BackupDamaged(GalleryError):
    """The folder is no backup, or not a whole one."""

    slug = "backup-damaged"
    status = 422


class BackupNotFound(GalleryError):
    """No backup of this id is known, or its folder is not where it was written."""

    slug = "backup-not-found"
    status = 404


class GenerationNotFound(GalleryError):
    """There are no embeddings of this generation, or none that may be dropped."""

    slug = "generation-not-found"
    status = 404


class ImagesMissing(GalleryError):
    """Items have no image that can be read, and it is needed."""

    slug = "images-missing"
    status = 409


class ItemNotFound(ServiceError):
    """There is no item with this id."""

    slug = "item-not-found"
    status = 404

    @classmethod
    def of(cls, item_id: int) -> ItemNotFound:
        """Return the error, the same for an item that is not there and for one that the caller may not know of."""
        return cls(f"no item {item_id} in this gallery; `GET /v1/items` lists those that are there")


class ImageMismatch(ServiceError):
    """An item has another image than the one that the caller looked at."""

    slug = "image-mismatch"
    status = 409

    @classmethod
    def of(cls, item_id: int, found: str, expected: str) -> ImageMismatch:
        """Return the error for an item whose image_hash is `found` and not `expected`."""
        return cls(
            f"item {item_id} has the image_hash {found} and not {expected}, so it is another image; nothing was "
            "changed; check the item before you repeat this"
        )


class PersonNotFound(ServiceError):
    """No item has this label."""

    slug = "person-not-found"
    status = 404


class ErasureNotFound(ServiceError):
    """There is no erasure with this id."""

    slug = "erasure-not-found"
    status = 404


REMEDY_DAMAGED = "restore the folder from a backup, or move it away and index the images again"
STORAGE_ERRORS = StorageErrors(
    {
        Fault.DAMAGED: GalleryDamaged,
        Fault.TOO_NEW: GalleryTooNew,
        Fault.BUSY: GalleryBusy,
        Fault.FULL: GalleryFull,
        Fault.READ_ONLY: GalleryReadOnly,
        Fault.OUT_OF_FILES: GalleryOutOfFiles,
        Fault.CLOSED: GalleryNotFound,
        Fault.OTHER: GalleryError,
    },
    {Fault.DAMAGED: REMEDY_DAMAGED, Fault.CLOSED: "it may have been dropped"},
)


@contextmanager
def disk_errors(path: Path, failed: str, remedy: str = "check its permissions") -> Iterator[None]:
    """Turn an OSError into GalleryFull, GalleryOutOfFiles or GalleryReadOnly: `path` cannot be `failed`."""
    try:
        yield
    except OSError as error:
        kind = STORAGE_ERRORS.types[disk_fault(error)]
        raise kind(f"{path} cannot be {failed} ({error.strerror}); {remedy}") from error
