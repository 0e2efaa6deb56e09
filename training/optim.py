"""Optimisers, what they decay, and the learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

OPTIMISERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adamw": AdamW}
FREE_OF_DECAY = ("cls_token", "pos_embed", "reg_token")


def build_optimiser(
    model: nn.Module,
    *,
    name: str,
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    decay_all: bool = False,
    bias_lr: float = 1.0,
) -> Optimizer:
    """Build an optimiser over the trainable parameters.

    Unless `decay_all`, vectors (biases, norms) and token and position embeddings are not decayed. Biases learn at
    `bias_lr` x `lr`. Each group keeps its own factor of the rate as "lr_factor".
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = decay_all or (parameter.ndim > 1 and not key.endswith(FREE_OF_DECAY))
            groups.setdefault((decayed, key.endswith("bias")), []).append(parameter)
    parts = [
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            "lr": lr * (bias_lr if is_bias else 1.0),
            "lr_factor": bias_lr if is_bias else 1.0,
        }
        for (decayed, is_bias), parameters in groups.items()
    ]
    build = partial(OPTIMISERS[name], momentum=momentum) if name == "sgd" else OPTIMISERS[name]
    return build(parts, lr=lr)


def learning_rate(
    epoch: float, *, lr: float, epochs: int, warmup_epochs: float, warmup_start: float, final: float
) -> float:
    """The rate at a point in time, counted in epochs from 0: a linear rise, then half a cosine down to `final` x lr."""
    if epoch < warmup_epochs:
        return lr * (warmup_start + (1 - warmup_start) * epoch / warmup_epochs)
    passed = (epoch - warmup_epochs) / max(epochs - warmup_epochs, 1e-9)
    return lr * (final + (1 - final) * (1 + math.cos(math.pi * min(passed, 1.0))) / 2)


def set_learning_rate(optimiser: Optimizer, lr: float) -> None:
    """Give every group its share of the rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_factor"]
