"""The learning rate over time. Time is counted in epochs from 0 and may lie within one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def cosine(
    epoch: float,
    *,
    lr: float,
    epochs: int,
    warmup_epochs: float,
    warmup_lr_ratio: float,
    min_lr_ratio: float,
    **_: object,
) -> float:
    """Rise linearly from `warmup_lr_ratio` x lr, then fall on half a cosine to `min_lr_ratio` x lr."""
    if epoch < warmup_epochs:
        return lr * _risen(epoch / warmup_epochs, warmup_lr_ratio)
    passed = (epoch - warmup_epochs) / max(epochs - warmup_epochs, 1e-9)
    return _half_cosine(lr, min_lr_ratio, passed)


def cosine_by_epoch(
    epoch: float,
    *,
    lr: float,
    epochs: int,
    warmup_epochs: float,
    warmup_lr_ratio: float,
    min_lr_ratio: float,
    **_: object,
) -> float:
    """TransReID's: one rate for all of an epoch, and a cosine that has begun when the warm-up ends.

    The first epoch already makes one step of the rise, and the cosine runs over all epochs, so that the rate jumps a
    little below lr after the warm-up.
    """
    number = math.floor(epoch) + 1
    if number < warmup_epochs:
        return lr * _risen(number / warmup_epochs, warmup_lr_ratio)
    return _half_cosine(lr, min_lr_ratio, number / epochs)


def steps(
    epoch: float, *, lr: float, warmup_epochs: float, warmup_lr_ratio: float, falls: Sequence[float], **_: object
) -> float:
    """A linear rise from `warmup_lr_ratio` x lr, then a fall to a tenth at each of the epochs `falls`."""
    risen = _risen(min(1.0, epoch / warmup_epochs), warmup_lr_ratio) if warmup_epochs else 1.0
    return float(lr * risen * 0.1 ** sum(epoch >= fall for fall in falls))


def _risen(passed: float, start: float) -> float:
    return start + (1 - start) * passed


def _half_cosine(lr: float, min_lr_ratio: float, passed: float) -> float:
    return lr * (min_lr_ratio + (1 - min_lr_ratio) * (1 + math.cos(math.pi * min(passed, 1.0))) / 2)


SCHEDULES: dict[str, Callable[..., float]] = {
    "cosine": cosine,
    "cosine_by_epoch": cosine_by_epoch,
    "steps": steps,
}
"""By name: the rate at a point in time. Each takes what it needs of the same arguments."""
