"""Optimisers, their parameter groups and learning rates, and which parts of a network learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import timm.optim
from torch import nn
from torch.optim import Optimizer

from vitreid.training.backbones.transreid import NO_WEIGHT_DECAY
from vitreid.training.model import ReIDModel

OPTIMISERS = {"sgd": "momentum", "adam": "adam", "adamw": "adamw"}
"""Names of timm's factory (its "sgd" is Nesterov's). `sgd` and `adam` decay by an L2 penalty in the gradient."""


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float,
    weight_decay: float,
    decay_bias_and_norm: bool = False,
    bias_lr_mult: float = 1.0,
    backbone_lr_mult: float = 1.0,
) -> list[dict[str, Any]]:
    """Group the trainable parameters by weight decay and learning rate.

    Unless `decay_bias_and_norm`, vectors (biases, norms) and token and position embeddings are not decayed. Biases
    learn at `bias_lr_mult` x `lr`, the backbone at `backbone_lr_mult` x `lr`; what `freeze` leaves of one at 0 x `lr`
    learns at `lr`. Each group has its factor of the rate as "lr_factor".
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    backbone_factor = backbone_lr_mult or 1.0
    for key, parameter in named_parameters:
        if parameter.requires_grad:
            decayed = decay_bias_and_norm or (parameter.ndim > 1 and not key.endswith(NO_WEIGHT_DECAY))
            factor = bias_lr_mult if key.endswith(".bias") else 1.0
            factor *= backbone_factor if key.startswith("backbone.") else 1.0
            groups.setdefault((decayed, factor), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            "lr": lr * factor,
            "lr_factor": factor,
        }
        for (decayed, factor), parameters in groups.items()
    ]


def build_optimiser(groups: list[dict[str, Any]], *, name: str, lr: float, momentum: float = 0.9) -> Optimizer:
    """Build an optimiser of OPTIMISERS over parameter groups."""
    factory: Any = timm.optim
    optimiser: Optimizer = factory.create_optimizer_v2(
        groups, opt=OPTIMISERS[name], lr=lr, weight_decay=0.0, momentum=momentum
    )
    return optimiser


def set_learning_rate(optimiser: Optimizer, lr: float) -> None:
    """Set every group's learning rate to its factor of `lr`."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_factor"]


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
"""Learning rates over time, in epochs from 0, also within one. All take the same arguments and use some."""


def freeze(model: ReIDModel, *, blocks: int, backbone: bool) -> None:
    """Keep a part of the network as it is: all of the backbone, or its first `blocks` and everything before them.

    Side information still learns: it belongs to the cameras of the training images, which no start elsewhere has seen.

    Raises ConfigError where a backbone has no such blocks.
    """
    if backbone:
        frozen, learning = list[nn.Module]([model.backbone]), list[nn.Module]()
    elif blocks:
        frozen, learning = model.backbone.split_at(blocks)
    else:
        return
    model.backbone.requires_grad_(False)
    for part in (*learning, model.backbone.side_information()):
        if part is not None:
            part.requires_grad_(True)
    model.frozen = tuple(frozen)
