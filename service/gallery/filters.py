"""Filters: the conditions on items of a search or a listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vitreid.service.errors import BadParameter
from vitreid.service.gallery.items import QUALITIES, Range

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold. Raises BadParameter for a quality of an unknown name or a time without a zone."""

    cameras: frozenset[str] | None = None
    """Only items of these; items of an unknown camera never match."""
    exclude_cameras: frozenset[str] = frozenset()
    """No items of these; items of an unknown camera stay."""
    since: datetime | None = None
    """captured_at from here on; items without a time match neither this nor the next."""
    until: datetime | None = None
    """captured_at before this."""
    person_id: str | None = None
    track_id: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    """Equal values of top-level keys; 1 and 1.0 are equal, 1 and true are not."""
    quality: Mapping[str, Range] = field(default_factory=dict)
    """By name (QUALITIES): minimum and maximum, both included; items of unknown quality never match."""
    exclude_ids: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for name in self.quality:
            if name not in QUALITIES:
                raise BadParameter(f"unknown quality {name!r}: choose of {', '.join(QUALITIES)}")
        for time in (self.since, self.until):
            if time is not None and time.tzinfo is None:
                raise BadParameter(f"{time.isoformat()} has no time zone; end it with Z or an offset such as +09:00")


EVERYTHING = Filter()
