"""The interface between the training loop and what is trained, and what a run reports of its progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

Record = dict[str, Any]
"""An epoch's number, mean losses, learning rate and any scores."""


@dataclass(frozen=True)
class Saved:
    """A saved epoch: `metrics` as given to `Task.save`, `state` of loop and task."""

    metrics: Mapping[str, Any]
    state: Mapping[str, Any]


class Task(Protocol):
    """A network, its data and its losses. The loop takes steps, averages, evaluates and saves."""

    @property
    def network(self) -> nn.Module:
        """The network that is trained, evaluated and saved."""

    @property
    def learned(self) -> nn.Module:
        """The network and whatever else learns, such as losses with state."""

    @property
    def batch_size(self) -> int:
        """Images of a batch, of all processes together."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores, the one that chooses the best epoch first; empty where nothing can be scored."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser; each has "params", "weight_decay" and "lr_factor", a factor of the rate."""

    def batches(self, epoch: int) -> tuple[int, Iterator[Any]]:
        """Return the number of batches of an epoch, and the batches. The same for the same epoch."""

    def reading(self) -> AbstractContextManager[None]:
        """Hold what reads batches, such as worker processes, and release it."""

    def step(self, batch: Any, *, epoch: int, step: int) -> dict[str, Tensor]:
        """Return the losses of a batch by name, the sum to minimise as "total". Runs under autocast."""

    def monitor(self) -> dict[str, float]:
        """Return further values for an epoch's record."""

    def warning(self, history: Sequence[Record], record: Record) -> str | None:
        """Return a line about something wrong in an epoch's record, the first time only."""

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Score the network, or its moving average."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs beside the network."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""

    def save(
        self, path: Path, network: nn.Module, metrics: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> None:
        """Write a checkpoint atomically; `state` makes it one to resume from."""

    def load(self, path: Path) -> Saved:
        """Load the network from a checkpoint. Raises CheckpointError if it belongs to another recipe or data set."""


@dataclass(frozen=True)
class Progress:
    """Position of a run: epochs and steps from 1, and the seconds that the rest will take."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    images_per_s: float
    left_s: float


class Observer(Protocol):
    """Receiver of every step and every epoch of a run."""

    def step(self, progress: Progress) -> None:
        """Called after each step."""

    def epoch(self, record: Record) -> None:
        """Called after an epoch was saved."""
