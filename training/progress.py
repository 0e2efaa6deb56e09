"""What a run tells while it goes on, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Progress:
    """Where a run stands: epochs from 1, steps within the epoch, and how long the rest will take."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    images_per_s: float
    left_s: float


class Observer(Protocol):
    """Hears of every step and every epoch of a run."""

    def step(self, progress: Progress) -> None:
        """A step was taken."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended and was saved; the record holds its number, mean losses, rate and any scores."""
