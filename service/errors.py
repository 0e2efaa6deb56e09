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
│   └── EmbeddingRejected      an embedding of the wrong shape, not finite, or not of unit length
├── ItemNotFound               no item with this id (any more)
├── RequestError               the request itself is wrong
│   ├── BadParameter           a parameter outside of what is allowed
│   ├── BadImage               bytes that are not a usable picture
│   ├── UnsupportedMedia       a body of a type that is not taken
│   └── TooLarge               a body over the limit
├── IndexingError
│   ├── FolderNotFound         the folder of images does not exist
│   ├── NoImages               the folder holds no images
│   └── TableError             the CSV table of labels is wrong, with its line
├── UnknownName                a registry has no entry of this name
├── NotReady                   the service is still loading, or has lost a part
├── PortInUse                  another program listens there
└── of one module each         config.ConfigError, serving.NotLoopback, starter.StarterMissing, commands.CannotWrite,
                               demo.DemoError; limits.CrossSite is a RequestError

A message names the value, what is allowed and the remedy, in one line. Commands print it after `reid: ` and exit
with `exit_code`; the API sends it as `application/problem+json` with `status` and a `type` made from `slug`.
"""

from collections.abc import Iterable
from typing import ClassVar


class ServiceError(Exception):
    """Root of the tree; `slug` is stable, `status` is the HTTP status."""

    exit_code: ClassVar[int] = 2
    slug: ClassVar[str] = "service-error"
    status: ClassVar[int] = 500


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


class EmbeddingRejected(GalleryError):
    """Embeddings that cannot be stored or searched with."""

    slug = "embedding-rejected"
    status = 422


class ItemNotFound(ServiceError):
    """There is no item with this id."""

    slug = "item-not-found"
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


class UnknownName(ServiceError):
    """A registry has no entry of this name."""

    slug = "unknown-name"
    status = 422

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownName":
        """The error for a `kind` (index, runtime, ...) called `name` where only `known` exist."""
        return cls(f"unknown {kind} {name!r}: choose one of {', '.join(sorted(known))}")


class NotReady(ServiceError):
    """The service cannot answer yet, or not any more."""

    slug = "not-ready"
    status = 503


class PortInUse(ServiceError):
    """The address to serve on is taken."""

    slug = "port-in-use"
