"""Preparation of images for the model: read, hash, decode, cut out persons, measure quality, resize."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, ImageLimits, decoded
from vitreid.bundle.preprocess import DEFAULT_LIMITS
from vitreid.service.gallery.items import GallerySettings, Range
from vitreid.service.intake.boxes import PersonBox, box_hash, cut
from vitreid.service.intake.labels import Label, time_warning
from vitreid.service.intake.outcomes import (
    Duplicate,
    InvalidBox,
    Outcome,
    Prepared,
    Provenance,
    QualityRejected,
    SkippedFile,
)
from vitreid.service.intake.quality import measure, violation_of

T = TypeVar("T")

MAX_CHUNK_BYTES = 16 * 2**20
NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True)
class ImageSource:
    """An image to take in: a crop of one person or, with `boxes`, a frame with several."""

    name: str | None
    """Relative path, or name of the upload."""
    read: Callable[[], bytes]
    """Returns the encoded image. Raises ImageError."""
    size: int = 0
    """Bytes of the encoded image."""
    label: Label = field(default_factory=Label)
    """Label of a crop; boxes have their own."""
    boxes: Sequence[PersonBox] | None = None
    index: int = 0

    @property
    def items(self) -> int:
        """Number of items that it may become."""
        return 1 if self.boxes is None else len(self.boxes)

    def provenances(self) -> list[Provenance]:
        """Return the provenance of each of its items."""
        if self.boxes is None:
            return [Provenance(self.name, self.label, self.index)]
        return [Provenance(self.name, box.label, self.index, place, box.where) for place, box in enumerate(self.boxes)]

    def skipped(self, error: ImageError) -> SkippedFile:
        """Return the outcome of an image that cannot be read."""
        return SkippedFile(Provenance(self.name, self.label, self.index), error.reason, self.items, error.name)


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """The bytes of an image, with what identifies each of its items."""

    source: ImageSource
    content: bytes
    hashes: list[str] = field(init=False)
    """SHA-256, hex, of the bytes, or of a box with it (see `box_hash`)."""

    def __post_init__(self) -> None:
        whole, boxes = hashlib.sha256(self.content).hexdigest(), self.source.boxes
        hashes = [whole] if boxes is None else [box_hash(whole, box.box) for box in boxes]
        object.__setattr__(self, "hashes", hashes)


@dataclass(frozen=True)
class IntakePolicy:
    """A gallery's rules for new images, and the model's preparation of pixels."""

    prepare: Callable[[Image.Image], NDArray[np.uint8]]
    """Resizes an image to what the model takes."""
    limits: ImageLimits = DEFAULT_LIMITS
    reject: Mapping[str, Range] = field(default_factory=dict)
    """Ranges of quality, by name."""
    store_images: bool = True
    retention_days: float | None = None
    """Days that items are stored; an older one is added with a warning."""

    @classmethod
    def of(
        cls,
        settings: GallerySettings,
        prepare: Callable[[Image.Image], NDArray[np.uint8]],
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Return the policy of a gallery with these settings."""
        return cls(prepare, limits, settings.reject, settings.store_images, settings.retention_days)


def prepare_image(loaded: LoadedImage, policy: IntakePolicy, known: Mapping[str, int] = NOTHING) -> list[Outcome]:
    """Prepare a crop, or each box of a frame, which is decoded once for all of them.

    `known` are the ids of items by their hashes: these are duplicates, and an image of them alone is not decoded.
    """
    source, provenances, hashes = loaded.source, loaded.source.provenances(), loaded.hashes
    if all(image_hash in known for image_hash in hashes):
        return [Duplicate(provenance, each, known[each]) for provenance, each in zip(provenances, hashes, strict=True)]
    try:
        with decoded(loaded.content, policy.limits, name=source.name) as image:
            if source.boxes is None:
                return [_prepare(image, provenances[0], hashes[0], policy)]
            return [
                Duplicate(provenance, image_hash, known[image_hash])
                if image_hash in known
                else _prepare_box(image, box, provenance, image_hash, policy)
                for box, provenance, image_hash in zip(source.boxes, provenances, hashes, strict=True)
            ]
    except ImageError as error:
        return [source.skipped(error)]


def chunked(tasks: Iterable[T], size: Callable[[T], tuple[int, int]], *, max_items: int) -> Iterator[list[T]]:
    """Split tasks into chunks of at most `max_items` items and MAX_CHUNK_BYTES, or of one larger task.

    `size` returns a task's items and bytes.
    """
    chunk: list[T] = []
    items = content = 0
    for task in tasks:
        more_items, more_content = size(task)
        if chunk and (items + more_items > max_items or content + more_content > MAX_CHUNK_BYTES):
            yield chunk
            chunk, items, content = [], 0, 0
        chunk.append(task)
        items, content = items + more_items, content + more_content
    if chunk:
        yield chunk


def source_size(source: ImageSource) -> tuple[int, int]:
    """Return the items and bytes of a source, for `chunked`."""
    return source.items, source.size


def _prepare_box(
    frame: Image.Image, box: PersonBox, provenance: Provenance, image_hash: str, policy: IntakePolicy
) -> Outcome:
    try:
        crop, outside = cut(frame, box.box, min_side=policy.limits.min_side)
    except ImageError as error:
        return InvalidBox(provenance, str(error))
    return _prepare(crop, provenance, image_hash, policy, box, outside)


def _prepare(
    image: Image.Image,
    provenance: Provenance,
    image_hash: str,
    policy: IntakePolicy,
    box: PersonBox | None = None,
    outside: float = 0.0,
) -> Outcome:
    quality, label = measure(image, outside), provenance.label
    if (violation := violation_of(quality, policy.reject)) is not None:
        return QualityRejected(provenance, violation)
    return Prepared(
        provenance,
        image_hash=image_hash,
        box=box.box if box else None,
        quality=quality,
        pixels=policy.prepare(image),
        image=encode_image(image) if policy.store_images else None,
        warning=time_warning(label.captured_at, now=datetime.now(UTC), retention_days=policy.retention_days),
    )


LONGEST_SIDE = 512
QUALITY = 90


def encode_image(image: Image.Image) -> bytes:
    """Encode an RGB image as JPEG with at most 512 pixels on its longest side, and enough on the other to read it.

    Always encoded again, so that nothing of the source file but its pixels remains: no EXIF, position, comments, or a
    second file behind the image.
    """
    scale = LONGEST_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(DEFAULT_LIMITS.min_side, round(side * scale)) for side in image.size)
        stored = image.resize((width, height), Image.Resampling.BICUBIC)
    else:
        stored = image.copy()
    stored.info = {}  # Pillow would write the comment and the colour profile of the source again
    content = io.BytesIO()
    stored.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()
