"""Losses by name. A new one is a file beside these and a line in LOSSES; a recipe gives its weight and options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from training.errors import ConfigError
from training.losses.batch import LossInputs
from training.losses.identity import identity
from training.losses.triplet import triplet

Loss = Callable[[LossInputs], Tensor]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "identity": identity,
    "triplet": triplet,
}


def total_loss(recipe: Mapping[str, Mapping[str, object]]) -> Callable[[LossInputs], dict[str, Tensor]]:
    """Build the weighted losses of a recipe: `{name: {"weight": 1.0, option: value}}`.

    The result maps a batch to every loss by name, unweighted, and their weighted sum as "total".

    Raises ConfigError for a name or an option that does not exist.
    """
    terms = {name: (_weight(name, options), _bound(name, options)) for name, options in recipe.items()}

    def losses(batch: LossInputs) -> dict[str, Tensor]:
        values = {name: loss(batch) for name, (_, loss) in terms.items()}
        return values | {"total": torch.stack([terms[name][0] * value for name, value in values.items()]).sum()}

    return losses


def _weight(name: str, options: Mapping[str, object]) -> float:
    weight = options.get("weight", 1.0)
    if not isinstance(weight, int | float) or weight < 0:
        raise ConfigError(f"losses.{name}.weight = {weight!r}; give a number of at least 0")
    return float(weight)


def _bound(name: str, options: Mapping[str, object]) -> Loss:
    if name not in LOSSES:
        raise ConfigError(f"there is no loss {name!r}; take from {', '.join(LOSSES)}")
    loss = LOSSES[name]
    allowed = [p.name for p in inspect.signature(loss).parameters.values() if p.kind is p.KEYWORD_ONLY]
    given = {key: value for key, value in options.items() if key != "weight"}
    if unknown := sorted(set(given) - set(allowed)):
        raise ConfigError(f"losses.{name} has no option {unknown[0]!r}; take from weight, {', '.join(allowed)}")
    return partial(loss, **given)


__all__ = ["LOSSES", "Loss", "LossInputs", "total_loss"]
