"""Optimisers, what they decay, and which parts of a network learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vitreid.training.backbones.transreid import NO_WEIGHT_DECAY
from vitreid.training.model import ReIDModel

OPTIMISERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
"""By name. The decay of `sgd` and `adam` is an L2 penalty, a part of the gradient; that of `adamw` is apart from it."""


def build_optimiser(
    model: nn.Module,
    *,
    name: str,
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    decay_bias_and_norm: bool = False,
    bias_lr_mult: float = 1.0,
    backbone_lr_mult: float = 1.0,
) -> Optimizer:
    """Build an optimiser over the trainable parameters.

    Unless `decay_bias_and_norm`, vectors (biases, norms) and token and position embeddings are not decayed. Biases
    learn at `bias_lr_mult` x `lr`, the backbone at `backbone_lr_mult` x `lr`; what `freeze` leaves of one at 0 x `lr`
    learns at `lr`. Each group keeps its own factor of the rate as "lr_factor".
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    of_backbone = backbone_lr_mult or 1.0
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = decay_bias_and_norm or (parameter.ndim > 1 and not key.endswith(NO_WEIGHT_DECAY))
            factor = (bias_lr_mult if key.endswith(".bias") else 1.0) * (
                of_backbone if key.startswith("backbone.") else 1.0
            )
            groups.setdefault((decayed, factor), []).append(parameter)
    parts = [
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            "lr": lr * factor,
            "lr_factor": factor,
        }
        for (decayed, factor), parameters in groups.items()
    ]
    build = partial(OPTIMISERS[name], momentum=momentum) if name == "sgd" else OPTIMISERS[name]
    return build(parts, lr=lr)


def set_learning_rate(optimiser: Optimizer, lr: float) -> None:
    """Give every group its share of the rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_factor"]


def moving_average(model: ReIDModel, keep: float) -> AveragedModel:
    """A network that follows `model`: each update keeps the share `keep` (0..1) of its weights; the first copies."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(keep), use_buffers=True)  # type: ignore[no-untyped-call]  # torch has no types there
    average.eval()
    return average


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
