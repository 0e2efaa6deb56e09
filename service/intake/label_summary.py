"""What was read of images before they are added, counted: how many say their person, camera, track and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from vitreid.service.intake.labels import Label

SHOWN = 3


@dataclass(frozen=True)
class LabelSummary:
    """Counts of labels; `examples` are some of them with the paths of their images."""

    images: int
    persons: int
    cameras: int
    tracks: int
    without_person: int
    without_camera: int
    without_time: int
    first: datetime | None
    last: datetime | None
    examples: tuple[tuple[str, Label], ...]

    @classmethod
    def of(cls, labels: Iterable[tuple[str, Label]]) -> LabelSummary:
        """Count labels that come with the paths of their images."""
        every = list(labels)
        persons, cameras, tracks = (
            [getattr(label, name) for _, label in every] for name in ("person_id", "camera_id", "track_id")
        )
        times = [label.captured_at for _, label in every if label.captured_at is not None]
        return cls(
            images=len(every),
            persons=len(set(persons) - {None}),
            cameras=len(set(cameras) - {None}),
            tracks=len(set(tracks) - {None}),
            without_person=persons.count(None),
            without_camera=cameras.count(None),
            without_time=len(every) - len(times),
            first=min(times, default=None),
            last=max(times, default=None),
            examples=tuple(every[:SHOWN]),
        )
