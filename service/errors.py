"""Error types of the service.

ServiceError
├── GalleryError               a gallery cannot be opened or used: others are in gallery.errors
│   └── EmbeddingRejected      an embedding of the wrong shape, not finite, or not of unit length
├── RequestError               the request itself is wrong
│   ├── BadParameter           a parameter outside of its allowed values
│   ├── BadImage               bytes that are not a usable image
│   ├── UnsupportedMedia       a body of an unsupported type
│   ├── TooLarge               a body over the limit
│   └── RequestTimeout         a body that arrived too slowly
├── IndexingError
│   ├── FolderNotFound         the folder of images does not exist
│   ├── NoImages               the folder holds no images
│   └── TableError             the CSV table of labels is wrong, with its line
├── UnknownName                a registry has no entry of this name
├── EmbeddingFailed            the model cannot embed this image, though it can embed others
├── ExplainUnsupported         the model has no patches
├── NotCalibrated              the model's scores have no probabilities
├── Unavailable                the service cannot answer now; the same request may succeed later
│   ├── NotReady               the service is still loading, or has lost a part
│   ├── QueueFull              the queue is full
│   ├── DeadlineExceeded       the answer would have come too late
│   └── ModelFailed            the model embeds nothing any more
├── PortInUse                  another program listens on the port
├── of one package each        gallery.errors, access.errors
└── of one module each         config.SettingsError, serving.NotLoopback, serving.KeyRequired,
                               starter.StarterMissing, starter.BundleNeeded, files.CannotWrite,
                               demo.DemoError,
                               indexes.files.IndexDamaged (a GalleryError), indexes.gpu.GpuMissing;
                               cross_site.CrossSite and hosts.Misdirected are a RequestError

A message names the value, what is allowed and the remedy, in one line. Commands print it after `vitreid: ` and exit
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


class EmbeddingRejected(GalleryError):
    """Embeddings that cannot be stored or searched with."""

    slug = "embedding-rejected"
    status = 422


class RequestError(ServiceError):
    """The request cannot be understood."""

    slug = "bad-request"
    status = 400


class BadParameter(RequestError):
    """A parameter is outside of its allowed values."""

    slug = "bad-parameter"
    status = 422


class BadImage(RequestError):
    """The bytes are not an image in a supported format."""

    slug = "bad-image"
    status = 422


class UnsupportedMedia(RequestError):
    """The body's content type is not supported."""

    slug = "unsupported-media"
    status = 415


class TooLarge(RequestError):
    """The body is larger than allowed."""

    slug = "too-large"
    status = 413


class RequestTimeout(RequestError):
    """The body of the request arrived too slowly."""

    slug = "request-timeout"
    status = 408


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


class EmbeddingFailed(ServiceError):
    """The model cannot embed this image."""

    slug = "embedding-failed"
    status = 422


class ExplainUnsupported(ServiceError):
    """The model does not support patches."""

    slug = "explain-unsupported"
    status = 409


class NotCalibrated(ServiceError):
    """The model's scores have no probabilities."""

    slug = "not-calibrated"
    status = 409


class Unavailable(ServiceError):
    """The service cannot answer now; the same request may succeed later."""

    slug = "unavailable"
    status = 503


class NotReady(Unavailable):
    """The service cannot answer yet, or not any more."""

    slug = "not-ready"


class QueueFull(Unavailable):
    """The queue is full."""

    slug = "queue-full"


class DeadlineExceeded(Unavailable):
    """The answer would have come too late."""

    slug = "deadline-exceeded"
    status = 504


class ModelFailed(Unavailable):
    """The model embeds nothing any more, whatever the image."""

    slug = "model-failed"


class PortInUse(ServiceError):
    """The address to serve on is taken."""

    slug = "port-in-use"
