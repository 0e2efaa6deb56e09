"""Labels of images as JSON: of `POST /v1/items`, and of JSON files of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, Field, Strict, ValidationError, model_validator
from pydantic_core import from_json

from vitreid.bundle.market_names import NOBODY
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.items import Box
from vitreid.service.gallery.metadata import Metadata, check_metadata
from vitreid.service.intake.boxes import PersonBox
from vitreid.service.intake.labels import Label, label_of_name
from vitreid.service.values.fields import BODY, LabelText, at_most
from vitreid.service.values.messages import first_mistake
from vitreid.service.values.times import UtcTime

MAX_BOXES = 500
"""Of one frame: all of its crops are in memory at once."""
MAX_VALUES = 200_000
"""Of the metadata of a request: parsing holds the interpreter, and 4 MiB may have a million values."""


class ItemLabels(BaseModel):
    """Labels of an image; every one may be left out."""

    model_config = BODY

    camera_id: LabelText | None = Field(None, description="the camera that took it", examples=["c1"])
    person_id: LabelText | None = Field(
        None, description="a label given by people, never by a score", examples=["0002"]
    )
    track_id: LabelText | None = Field(None, description="the track it belongs to", examples=["t17"])
    captured_at: UtcTime | None = Field(None, description="RFC 3339 with an offset", examples=["2026-05-01T09:30:00Z"])
    metadata: Metadata = Field(default_factory=dict, description="any other JSON object")


class BoxLabels(BaseModel):
    """One person in a frame."""

    model_config = BODY

    box: Annotated[Box, Strict(False)] = Field(  # JSON has lists only; their numbers stay strict
        description="left, top, right, bottom in pixels of the upright frame, from 0",
        examples=[[12.0, 8.0, 76.0, 200.0]],
    )
    person_id: LabelText | None = None
    track_id: LabelText | None = None
    captured_at: UtcTime | None = Field(None, description="that of the frame when left out")
    metadata: Metadata = Field(default_factory=dict, description="added to that of the frame")


class FrameLabels(ItemLabels):
    """Labels of a crop of one person or, with `boxes`, of a frame with several."""

    boxes: Annotated[list[BoxLabels] | None, at_most(MAX_BOXES)] = Field(
        None, max_length=MAX_BOXES, description="one item is made of each"
    )

    @model_validator(mode="after")
    def _persons_are_in_boxes(self) -> Self:
        if self.boxes is not None and (self.person_id or self.track_id):
            raise ValueError("a frame with boxes has no person_id or track_id of its own; give them to its boxes")
        return self

    @model_validator(mode="after")
    def _metadata_fits_with_that_of_the_frame(self) -> Self:
        for place, box in enumerate(self.boxes or ()):
            try:
                check_metadata({**self.metadata, **box.metadata})
            except ValueError as error:
                raise ValueError(f"metadata of box {place}, with that of its frame, {error}") from error
        return self

    def label(self) -> Label:
        """Return the label of a crop."""
        return Label(self.person_id, self.camera_id, self.track_id, self.captured_at, self.metadata)

    def person_boxes(self) -> list[PersonBox] | None:
        """Return the boxes of a frame, each with the frame's own labels; None for a crop."""
        if self.boxes is None:
            return None
        return [
            PersonBox(
                each.box,
                Label(
                    person_id=None if each.person_id in NOBODY else each.person_id,
                    camera_id=self.camera_id,
                    track_id=each.track_id,
                    captured_at=each.captured_at or self.captured_at,
                    metadata={**self.metadata, **each.metadata},
                ),
                where=f"box {place}",
            )
            for place, each in enumerate(self.boxes)
        ]


def parse_labels(text: bytes | None, names: Sequence[str | None]) -> list[FrameLabels]:
    """Parse the labels of images with these file names: JSON, a list or one object for all; None: no JSON.

    Missing persons and cameras come from Market-1501 file names. It may be 4 MiB of JSON: call it in a thread. Raises
    BadParameter that names the first mistake.
    """
    if text is None or not text.strip():
        return [_with_name(FrameLabels(), name) for name in names]
    if (values := text.count(b",")) > MAX_VALUES:
        raise BadParameter(f"metadata has {values:,} commas, at most {MAX_VALUES:,} are allowed; send less at once")
    try:
        given = from_json(text)
    except ValueError as error:
        raise BadParameter(f"metadata is not JSON ({error}); send an object, or a list with one per image") from error
    if not isinstance(given, list):
        labels = _validated(given, "metadata")
        if labels.boxes is not None and len(names) > 1:
            raise BadParameter(f"metadata has boxes for one of {len(names)} images; send one object per image")
        return [_with_name(labels, name) for name in names]
    if len(given) != len(names):  # before any entry is validated
        raise BadParameter(f"metadata has {len(given):,} entries for {len(names)} images; send one per image")
    validated = [_validated(each, f"metadata[{place}]") for place, each in enumerate(given)]
    return [_with_name(labels, name) for labels, name in zip(validated, names, strict=True)]


def _validated(given: object, place: str) -> FrameLabels:
    try:
        return FrameLabels.model_validate(given)
    except ValidationError as error:
        raise BadParameter(first_mistake(error, place, FrameLabels)) from error


def _with_name(given: FrameLabels, file_name: str | None) -> FrameLabels:
    """Add the labels of a crop's file name that were not given; null stays unknown."""
    name = label_of_name("" if given.boxes is not None else file_name or "")
    named = {"camera_id": name.camera_id, "person_id": name.person_id}
    labels = given.model_copy(update={key: named[key] for key in named.keys() - given.model_fields_set})
    return labels.model_copy(update={"person_id": None}) if labels.person_id in NOBODY else labels
