"""Everything that can go wrong by a user's hand, as types.

ServiceError
├── GalleryError
│   ├── GalleryNotFound        no gallery in this folder, and none was to be made
│   ├── NotAGallery            the folder holds something else
│   ├── GalleryDamaged         the database cannot be read, or what it says cannot be true
│   ├── GalleryTooNew          written by a later version of this program
│   ├── GalleryBusy            another process holds the write lock for too long
│   ├── GalleryReadOnly        the folder or file cannot be written (or opened)
│   ├── GalleryFull            the disk is full
│   ├── BundleMismatch         the gallery's embeddings come from another model
│   ├── GalleryNeeded          the gallery that always exists was to be dropped
│   ├── GalleryExists          a gallery stands where a backup was to be restored
│   ├── BackupDamaged          the folder is no backup, or not a whole one
│   ├── BackupNotFound         no backup of this id is known, or its folder is not where it was written
│   ├── GenerationNotFound     no embeddings of this generation, or none that may be dropped
│   ├── PicturesMissing        items without a picture cannot be embedded again
│   └── EmbeddingRejected      an embedding of the wrong shape, not finite, or not of unit length
├── ItemNotFound               no item with this id (any more)
├── PersonNotFound             no item has this label
├── ErasureNotFound            no erasure with this id
├── RequestError               the request itself is wrong
│   ├── BadParameter           a parameter outside of what is allowed
│   ├── BadImage               bytes that are not a usable picture
│   ├── UnsupportedMedia       a body of a type that is not taken
│   └── TooLarge               a body over the limit
├── IndexingError
│   ├── FolderNotFound         the folder of images does not exist
│   ├── NoImages               the folder holds no images
│   └── TableError             the CSV table of labels is wrong, with its line
├── AccessError
│   ├── Unauthorized           no key was given, or none that is valid
│   ├── Forbidden              the key is valid and not for this
│   ├── RateLimited            too many requests of one key or address
│   ├── KeyNotFound            there is no key with this id
│   └── AccessUnusable         the file of keys and audit log cannot be read or written
├── UnknownName                a registry has no entry of this name
├── EmbeddingFailed            the model cannot embed this picture, and others it can
├── Unavailable                the service cannot answer now; the same request may succeed later
│   ├── NotReady               the service is still loading, or has lost a part
│   ├── QueueFull              more waits already than is allowed to wait
│   ├── DeadlineExceeded       the answer would have come too late
│   └── ModelFailed            the model embeds nothing any more
├── PortInUse                  another program listens there
└── of one module each         config.ConfigError, serving.NotLoopback, starter.StarterMissing, files.CannotWrite,
                               demo.DemoError, indexes.files.IndexDamaged (a GalleryError), indexes.gpu.GpuMissing;
                               limits.CrossSite is a RequestError

A message names the value, what is allowed and the remedy, in one line. Commands print it after `reid: ` and exit
with `exit_code`; the API sends it as `application/problem+json` with `status` and a `type` made from `slug`.
"""

import math
from collections.abc import Iterable
from typing import ClassVar


class ServiceError(Exception):
    """Root of the tree; `slug` is stable, `status` is the HTTP status."""

    exit_code: ClassVar[int] = 2
    slug: ClassVar[str] = "service-error"
    status: ClassVar[int] = 500

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says besides the problem; a client that hears "not now" is told when to ask again."""
        return {"retry-after": "1"} if self.status in {503, 504} else {}


class GalleryError(ServiceError):
    """A gallery cannot be opened or used."""

    slug = "gallery-error"


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


class PicturesMissing(GalleryError):
    """Items without a picture cannot be embedded again."""

    slug = "pictures-missing"
    status = 409


class EmbeddingRejected(GalleryError):
    """Embeddings that cannot be stored or searched with."""

    slug = "embedding-rejected"
    status = 422


class ItemNotFound(ServiceError):
    """There is no item with this id."""

    slug = "item-not-found"
    status = 404

    @classmethod
    def of(cls, item_id: int) -> "ItemNotFound":
        """The same words for an item that is not there and for one that somebody may not know of."""
        return cls(f"no item {item_id} in this gallery; `GET /v1/items` lists those that are there")


class PersonNotFound(ServiceError):
    """No item has this label."""

    slug = "person-not-found"
    status = 404


class ErasureNotFound(ServiceError):
    """There is no erasure with this id."""

    slug = "erasure-not-found"
    status = 404


class RequestError(ServiceError):
    """The request cannot be understood."""

    slug = "bad-request"
    status = 400


class BadParameter(RequestError):
    """A parameter is outside of its allowed values."""

    slug = "bad-parameter"
    status = 422


class BadImage(RequestError):
    """The bytes sent are not a picture that we take."""

    slug = "bad-image"
    status = 422


class UnsupportedMedia(RequestError):
    """The body's content type is not one that we take."""

    slug = "unsupported-media"
    status = 415


class TooLarge(RequestError):
    """The body is larger than allowed."""

    slug = "too-large"
    status = 413


class IndexingError(ServiceError):
    """A folder of images cannot be indexed."""

    slug = "indexing-error"
    status = 422


class FolderNotFound(IndexingError):
    """The folder of images does not exist."""

    slug = "folder-not-found"


class NoImages(IndexingError):
    """There is no image in the folder."""

    slug = "no-images"


class TableError(IndexingError):
    """The table of labels is wrong; the message names file and line."""

    slug = "table-error"


class AccessError(ServiceError):
    """Somebody may not do what was asked."""

    slug = "access-error"
    status = 403


class Unauthorized(AccessError):
    """No key was given, or none that is valid."""

    slug = "unauthorized"
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """How to authenticate (RFC 6750)."""
        return {"www-authenticate": "Bearer"}


class Forbidden(AccessError):
    """The key is valid and not for this."""

    slug = "forbidden"


class RateLimited(AccessError):
    """Too many requests of one key or address; one more is taken after `after_s` seconds."""

    slug = "too-many-requests"
    status = 429

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s

    @property
    def headers(self) -> dict[str, str]:
        """When to ask again, in whole seconds."""
        return {"retry-after": str(max(1, math.ceil(self.after_s)))}


class KeyNotFound(AccessError):
    """There is no key with this id."""

    slug = "key-not-found"
    status = 404


class AccessUnusable(AccessError):
    """The file of keys and audit log cannot be read or written."""

    slug = "access-unusable"
    status = 503


class UnknownName(ServiceError):
    """A registry has no entry of this name."""

    slug = "unknown-name"
    status = 422

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownName":
        """The error for a `kind` (index, runtime, ...) called `name` where only `known` exist."""
        return cls(f"unknown {kind} {name!r}: choose one of {', '.join(sorted(known))}")


class EmbeddingFailed(ServiceError):
    """The model cannot embed this picture."""

    slug = "embedding-failed"
    status = 422


class Unavailable(ServiceError):
    """The service cannot answer now; the same request may succeed later."""

    slug = "unavailable"
    status = 503


class NotReady(Unavailable):
    """The service cannot answer yet, or not any more."""

    slug = "not-ready"


class QueueFull(Unavailable):
    """More waits already than is allowed to wait."""

    slug = "queue-full"


class DeadlineExceeded(Unavailable):
    """The answer would have come too late."""

    slug = "deadline-exceeded"
    status = 504


class ModelFailed(Unavailable):
    """The model embeds nothing any more, whatever the picture."""

    slug = "model-failed"


class PortInUse(ServiceError):
    """The address to serve on is taken."""

    slug = "port-in-use"
