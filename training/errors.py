"""What can go wrong between a folder of images and a checkpoint.

TrainingError           training or evaluation cannot go on
├── ConfigError         a recipe or an option is not valid
├── DataError           a data set lacks something
│   └── WrongLayout     a folder is laid out as another kind of data set
├── CheckpointError     a checkpoint cannot be read or does not fit
├── WeightsError        weights from elsewhere cannot be read or do not fit
├── WorkerDied          a process that reads images has ended
└── Diverged            the loss or the weights are no longer numbers
"""

from __future__ import annotations


class TrainingError(Exception):
    """Training or evaluation cannot go on."""

    exit_code = 2


class ConfigError(TrainingError):
    """A recipe or an option is not valid."""


class DataError(TrainingError):
    """A data set lacks something."""


class WrongLayout(DataError):
    """A folder is laid out as another kind of data set."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be read or does not fit."""


class WeightsError(TrainingError):
    """Weights from elsewhere cannot be read or do not fit."""


class WorkerDied(TrainingError):
    """A process that reads images has ended."""


class Diverged(TrainingError):
    """The loss or the weights are no longer numbers; `what` and `epoch` say which and when."""

    def __init__(self, what: str, epoch: int) -> None:
        kept = f"epoch {epoch - 1} is kept in last/" if epoch > 1 else "no epoch has ended before"
        remedy = "lower optim.lr, set optim.clip_norm, or take precision = 'fp32'"
        super().__init__(f"{what} in epoch {epoch}; {kept}: {remedy}")
