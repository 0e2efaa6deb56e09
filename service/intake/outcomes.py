"""Outcomes of the intake pipeline: one for each item that an image may become."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import EmbeddingFailed
from vitreid.service.gallery.items import Box, NewItem, Quality
from vitreid.service.intake.labels import Label
from vitreid.service.intake.quality import QualityViolation


@dataclass(frozen=True)
class Provenance:
    """The image that an item comes from and, in a frame, its box."""

    name: str | None
    """Relative path, or name of the upload."""
    label: Label = field(default_factory=Label)
    index: int = 0
    """Position of the image in its upload or folder."""
    box: int | None = None
    """Position of the box in its frame; None: the image is a crop."""
    box_name: str = ""
    """Name of the box in messages: its line or entry in the file of boxes."""

    @property
    def path(self) -> str:
        """The name in messages."""
        return f"{self.name or ''}, {self.box_name}" if self.box_name else self.name or ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one item so far."""

    provenance: Provenance

    @property
    def path(self) -> str:
        """The name of the image, and of the box in it."""
        return self.provenance.path

    @property
    def items(self) -> int:
        """Number of items that it stands for."""
        return 1


@dataclass(frozen=True, eq=False)
class Prepared(Outcome):
    """An item that is ready for the model."""

    image_hash: str
    box: Box | None
    quality: Quality
    pixels: NDArray[np.uint8]
    """(height, width, 3), as the model takes them."""
    image: bytes | None
    """JPEG to store."""
    warning: str | None = None
    """A doubt about its labels; it is added all the same."""

    def item(self, embedding: NDArray[np.float32], model_camera: str | None) -> NewItem:
        """Return the item with its embedding (D,), made with a model camera (None: unknown)."""
        label = self.provenance.label
        return NewItem(
            embedding=embedding,
            image_hash=self.image_hash,
            image=self.image,
            camera_id=label.camera_id,
            model_camera=model_camera,
            person_id=label.person_id,
            track_id=label.track_id,
            captured_at=label.captured_at,
            box=self.box,
            source=self.provenance.name,
            quality=self.quality,
            metadata=label.metadata,
        )


@dataclass(frozen=True, eq=False)
class Added(Outcome):
    """A new item."""

    item_id: int | None
    """None: in a dry run."""
    warning: str | None = None


@dataclass(frozen=True, eq=False)
class Duplicate(Outcome):
    """An item that is in the gallery already."""

    image_hash: str
    item_id: int | None = None
    """None: not known yet."""
    differing: tuple[str, ...] = ()
    """Names of the given labels that differ from the item's."""
    relabelled: bool = False
    """The item has the given labels now."""


@dataclass(frozen=True, eq=False)
class QualityRejected(Outcome):
    """An item outside of the gallery's ranges of quality."""

    violation: QualityViolation

    @property
    def reason(self) -> str:
        """The reason as a sentence part."""
        return self.violation.reason


@dataclass(frozen=True, eq=False)
class InvalidBox(Outcome):
    """A box that shows no person."""

    reason: str


@dataclass(frozen=True, eq=False)
class SkippedFile(Outcome):
    """An image that cannot be read."""

    reason: str
    missing: int = 1
    """Number of items that it would have become."""
    file: str | None = None
    """Printable name in messages; None: that of its provenance."""

    @property
    def path(self) -> str:
        """The name of the image."""
        return self.file or self.provenance.path

    @property
    def items(self) -> int:
        """Number of items that it stands for."""
        return self.missing


@dataclass(frozen=True, eq=False)
class NotEmbedded(Outcome):
    """An item that the model cannot embed."""

    error: EmbeddingFailed

    @property
    def reason(self) -> str:
        """The reason as a sentence."""
        return str(self.error)
