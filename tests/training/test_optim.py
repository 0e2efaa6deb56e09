from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from vitreid.training.optim import OPTIMISERS, build_optimiser, parameter_groups, set_learning_rate


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 3, 4))
        self.relative_bias = nn.Parameter(torch.zeros(5, 2))
        self.layer = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.norm.bias.requires_grad_(False)


def optimiser_of(model: nn.Module, name: str, **options: Any) -> Optimizer:
    groups = parameter_groups(model.named_parameters(), lr=0.1, weight_decay=0.5, **options)
    return build_optimiser(groups, name=name, lr=0.1)


@pytest.mark.parametrize(("name", "built"), [("sgd", SGD), ("adam", Adam), ("adamw", AdamW)])
def test_steps_are_those_of_torch(name: str, built: Callable[..., Optimizer]) -> None:
    """Three steps by timm's factory and by torch's class of the same name."""
    torch.manual_seed(0)
    ours, plain = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    extra: dict[str, Any] = {"momentum": 0.9} if name == "sgd" else {}
    group = {"params": [ours], "weight_decay": 0.5, "lr": 0.1, "lr_factor": 1.0}
    optimisers = (build_optimiser([group], name=name, lr=0.1), built([plain], lr=0.1, weight_decay=0.5, **extra))
    for _ in range(3):
        gradient = torch.randn(4, 4)
        for parameter, optimiser in zip((ours, plain), optimisers, strict=True):
            parameter.grad = gradient.clone()
            optimiser.step()
    torch.testing.assert_close(ours, plain, atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_is_decayed(name: str) -> None:
    model = Model()
    optimiser = optimiser_of(model, name, bias_lr_mult=2.0)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert decay == {
        id(model.layer.weight): 0.5,
        id(model.pos_embed): 0,
        id(model.relative_bias): 0,
        id(model.layer.bias): 0,
        id(model.norm.weight): 0,
    }


@pytest.mark.parametrize(("name", "moved"), [("adam", 0.1), ("adamw", 0.1 * 0.5 * 3.0), ("sgd", 0.1 * 0.5 * 3.0)])
def test_the_kind_of_decay(name: str, moved: float) -> None:
    """Without another gradient, adam's L2 penalty makes a step of the whole rate; adamw's shrinks the weight."""
    model = Model()
    with torch.no_grad():
        model.layer.weight.fill_(3.0)
    model.layer.weight.grad = torch.zeros_like(model.layer.weight)
    optimiser_of(model, name).step()
    torch.testing.assert_close(model.layer.weight.detach(), torch.full((4, 4), 3.0 - moved))


def test_biases_have_their_own_rate() -> None:
    model = Model()
    optimiser = optimiser_of(model, "sgd", bias_lr_mult=2.0, decay_bias_and_norm=True)
    set_learning_rate(optimiser, 0.3)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(model.layer.bias)] == (0.6, 0.5)
    assert rates[id(model.layer.weight)] == (0.3, 0.5)
    assert rates[id(model.relative_bias)] == (0.3, 0.5)  # a table, not a layer's bias
