"""The conditions of a filter as parameters of an address; every route that filters items takes the same ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, FiniteFloat, Json

from vitreid.service.api.schemas.common import Params
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.items import QUALITIES, Range
from vitreid.service.gallery.metadata import MAX_KEYS
from vitreid.service.values.bounds import at_most
from vitreid.service.values.fields import Named
from vitreid.service.values.times import UtcTime

MAX_NAMES = 256


class FilterParams(Params):
    """Which items a request is about: all conditions must hold, and items of which nothing is known match none."""

    cameras: Annotated[list[Named], at_most(MAX_NAMES)] = Field(
        default_factory=list, max_length=MAX_NAMES, description="only items of these cameras", examples=[["c1", "c2"]]
    )
    exclude_cameras: Annotated[list[Named], at_most(MAX_NAMES)] = Field(
        default_factory=list,
        max_length=MAX_NAMES,
        description="no items of these cameras; items of an unknown camera stay",
        examples=[["c3"]],
    )
    since: UtcTime | None = Field(None, description="captured_at from here on", examples=["2026-05-01T00:00:00Z"])
    until: UtcTime | None = Field(None, description="captured_at before this", examples=["2026-05-02T00:00:00Z"])
    person_id: Named | None = Field(None, description="only items with this label")
    track_id: Named | None = Field(None, description="only items of this track")
    metadata: Json[Annotated[dict[str, str | bool | int | FiniteFloat | None], at_most(MAX_KEYS)]] | None = Field(
        None,
        description="JSON object: top-level keys of the metadata and the values that they have",
        examples=['{"site": "north"}'],
    )
    min_height: FiniteFloat | None = Field(None, description="pixels of the crop")
    max_height: FiniteFloat | None = Field(None, description="pixels of the crop")
    min_width: FiniteFloat | None = Field(None, description="pixels of the crop")
    max_width: FiniteFloat | None = Field(None, description="pixels of the crop")
    min_aspect: FiniteFloat | None = Field(None, description="height by width")
    max_aspect: FiniteFloat | None = Field(None, description="height by width")
    min_sharpness: FiniteFloat | None = Field(None, description="variance of the Laplacian, grey levels squared")
    max_sharpness: FiniteFloat | None = Field(None, description="variance of the Laplacian, grey levels squared")
    min_brightness: FiniteFloat | None = Field(None, description="mean luma, 0..1")
    max_brightness: FiniteFloat | None = Field(None, description="mean luma, 0..1")
    min_outside: FiniteFloat | None = Field(None, description="share of the box outside of the frame, 0..1")
    max_outside: FiniteFloat | None = Field(None, description="share of the box outside of the frame, 0..1")

    def where(self, *, exclude_ids: Iterable[int] = ()) -> Filter:
        """The filter. Raises BadParameter for conditions that nothing can fulfil."""
        if self.since and self.until and self.since >= self.until:
            raise BadParameter(f"since {self.since.isoformat()} is not before until {self.until.isoformat()}")
        return Filter(
            cameras=frozenset(self.cameras) if self.cameras else None,
            exclude_cameras=frozenset(self.exclude_cameras),
            since=self.since,
            until=self.until,
            person_id=self.person_id,
            track_id=self.track_id,
            metadata=self.metadata or {},
            quality=self._ranges(),
            exclude_ids=frozenset(exclude_ids),
        )

    def _ranges(self) -> dict[str, Range]:
        ranges: dict[str, Range] = {
            name: (getattr(self, f"min_{name}"), getattr(self, f"max_{name}")) for name in QUALITIES
        }
        for name, (least, most) in ranges.items():
            if least is not None and most is not None and least > most:
                raise BadParameter(f"min_{name} {least:g} is greater than max_{name} {most:g}")
        return {name: limits for name, limits in ranges.items() if limits != (None, None)}
