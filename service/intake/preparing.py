"""Images on their way in: each one hashed, decoded, cut into the persons in it, measured and prepared, or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, ImageLimits, decoded
from vitreid.bundle.preprocess import DEFAULT_LIMITS
from vitreid.service.gallery.items import Box, NewItem, Quality, Range
from vitreid.service.intake.boxes import PersonBox, box_hash, cut
from vitreid.service.intake.images import encode_image
from vitreid.service.intake.labels import Label
from vitreid.service.intake.quality import QualityViolation, measure, violation_of
from vitreid.service.intake.time_warning import time_warning

T = TypeVar("T")

BYTES_AT_ONCE = 16 * 2**20


@dataclass(frozen=True, eq=False)
class ReceivedImage:
    """An image as it arrived: a crop of one person or, with `boxes`, a frame with several."""

    name: str | None
    """Relative path, or name of the upload."""
    content: bytes
    label: Label = field(default_factory=Label)
    """Of the one person; boxes have their own."""
    boxes: Sequence[PersonBox] | None = None
    hashes: list[str] = field(init=False)
    """What identifies each of its items: SHA-256, hex, of the bytes, or of a box with it (see `box_hash`)."""

    def __post_init__(self) -> None:
        whole = hashlib.sha256(self.content).hexdigest()
        hashes = [whole] if self.boxes is None else [box_hash(whole, each.box) for each in self.boxes]
        object.__setattr__(self, "hashes", hashes)

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Each of its items' hash and label."""
        labels = [self.label] if self.boxes is None else [each.label for each in self.boxes]
        return zip(self.hashes, labels, strict=True)


@dataclass(frozen=True)
class Rules:
    """What is taken in, and how."""

    prepare: Callable[[Image.Image], NDArray[np.uint8]]
    """Gives the pixels that the model takes."""
    limits: ImageLimits = DEFAULT_LIMITS
    reject: Mapping[str, Range] = field(default_factory=dict)
    """Ranges of quality, by name."""
    keep_images: bool = True
    retention_days: float | None = None
    """How long items are kept; an older one is added with a warning."""


@dataclass(frozen=True)
class Duplicate:
    """An item that the gallery has already, and what was said about it this time."""

    image_hash: str
    label: Label = field(default_factory=Label, compare=False)
    name: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class InvalidBox:
    """A box that shows no person."""

    reason: str


@dataclass(frozen=True)
class QualityRejected:
    """An item whose quality the gallery does not take."""

    camera_id: str | None
    breach: QualityViolation


@dataclass(frozen=True, eq=False)
class Prepared:
    """An item that is ready for the model."""

    name: str | None
    label: Label
    image_hash: str
    box: Box | None
    quality: Quality
    pixels: NDArray[np.uint8]
    """(height, width, 3), as the model takes them."""
    image: bytes | None
    """What the gallery keeps."""
    warning: str | None = None
    """What is doubtful about it; it is taken all the same."""

    def item(self, embedding: NDArray[np.float32], model_camera: str | None) -> NewItem:
        """The item, once it is embedded with a learned camera (None: unknown)."""
        return NewItem(
            embedding=embedding,
            image_hash=self.image_hash,
            image=self.image,
            camera_id=self.label.camera_id,
            model_camera=model_camera,
            person_id=self.label.person_id,
            track_id=self.label.track_id,
            captured_at=self.label.captured_at,
            box=self.box,
            source=self.name,
            quality=self.quality,
            metadata=self.label.metadata,
        )


Outcome = Prepared | Duplicate | InvalidBox | QualityRejected


def prepare_image(received: ReceivedImage, rules: Rules, known: Collection[str] = ()) -> list[Outcome]:
    """What becomes of a crop, or of each box of a frame, which is decoded once for all of them.

    Nothing is decoded where all of its hashes are `known`. Raises ImageError for an image that is none.
    """
    if all(image_hash in known for image_hash in received.hashes):
        return [Duplicate(*each, received.name) for each in received.labels()]
    with decoded(received.content, rules.limits, name=received.name) as image:
        if received.boxes is None:
            return [_prepare(received, image, received.label, received.hashes[0], rules)]
        return [
            Duplicate(image_hash, box.label, received.name)
            if image_hash in known
            else _prepare_box(received, image, box, image_hash, rules)
            for box, image_hash in zip(received.boxes, received.hashes, strict=True)
        ]


def chunked(tasks: Iterable[T], size: Callable[[T], tuple[int, int]], *, most: int) -> Iterator[list[T]]:
    """Tasks in their order, few at a time: `most` items and BYTES_AT_ONCE, or one task that has more.

    `size` gives a task's items and bytes.
    """
    portion: list[T] = []
    items = content = 0
    for task in tasks:
        more_items, more_content = size(task)
        if portion and (items + more_items > most or content + more_content > BYTES_AT_ONCE):
            yield portion
            portion, items, content = [], 0, 0
        portion.append(task)
        items, content = items + more_items, content + more_content
    if portion:
        yield portion


def _prepare_box(received: ReceivedImage, frame: Image.Image, box: PersonBox, image_hash: str, rules: Rules) -> Outcome:
    try:
        crop, outside = cut(frame, box.box, min_side=rules.limits.min_side)
    except ImageError as error:
        return InvalidBox(str(error))
    return _prepare(received, crop, box.label, image_hash, rules, box, outside)


def _prepare(
    received: ReceivedImage,
    image: Image.Image,
    label: Label,
    image_hash: str,
    rules: Rules,
    box: PersonBox | None = None,
    outside: float = 0.0,
) -> Outcome:
    quality = measure(image, outside)
    if (breach := violation_of(quality, rules.reject)) is not None:
        return QualityRejected(label.camera_id, breach)
    return Prepared(
        name=received.name,
        label=label,
        image_hash=image_hash,
        box=box.box if box else None,
        quality=quality,
        pixels=rules.prepare(image),
        image=encode_image(image) if rules.keep_images else None,
        warning=time_warning(label.captured_at, now=datetime.now(UTC), retention_days=rules.retention_days),
    )
