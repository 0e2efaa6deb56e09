"""Losses by name. A new one is a file beside these and a line in LOSSES; a recipe gives its weight and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from vitreid.training.errors import ConfigError
from vitreid.training.losses.batch import LossBatch
from vitreid.training.losses.channel_weighted import channel_weighted
from vitreid.training.losses.identity import identity
from vitreid.training.losses.margins import am_softmax, arcface, circle, cosface
from vitreid.training.losses.options import bound
from vitreid.training.losses.relation import relation_divergence, relation_triplet
from vitreid.training.losses.triplet import triplet
from vitreid.training.losses.weighted_triplet import weighted_triplet

Loss = Callable[[LossBatch], Tensor]

BRANCH_LOSSES: dict[str, Callable[..., Tensor]] = {
    "identity": identity,
    "arcface": arcface,
    "cosface": cosface,
    "am_softmax": am_softmax,
    "circle": circle,
    "triplet": triplet,
}
"""Taken of the whole image's feature and of every local one."""

TOKEN_LOSSES: dict[str, Callable[..., Tensor]] = {
    "weighted_triplet": weighted_triplet,
    "channel_weighted": channel_weighted,
    "relation_triplet": relation_triplet,
    "relation_divergence": relation_divergence,
}
"""Taken once: they look at a transformer's tokens."""

RELATION_LOSSES = frozenset({"relation_triplet", "relation_divergence"})
"""Those of the tokens that compare what the network knows of places; they need it to differ from place to place."""

LOSSES = BRANCH_LOSSES | TOKEN_LOSSES

JPM_REDUCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "paper": lambda whole, local: whole + local,
    "code": lambda whole, local: (whole + local) / 2,
}
"""How the loss of the whole image and the mean over its parts become one: in TransReID's paper, and in its code."""


def total_loss(
    recipe: Mapping[str, Mapping[str, object]], *, jpm: str = "paper"
) -> Callable[[Sequence[LossBatch]], dict[str, Tensor]]:
    """Build the weighted losses of a recipe: `{name: {"weight": 1.0, option: value}}`.

    The result maps a batch, seen through each of its features and the whole image's first, to every loss by name,
    unweighted, and their weighted sum as "total". `jpm` is a name of JPM_REDUCTIONS.

    Raises ConfigError for a name or an option that does not exist.
    """
    if unknown := sorted(recipe.keys() - LOSSES.keys()):
        raise ConfigError(f"there is no loss {unknown[0]!r}; take from {', '.join(LOSSES)}")
    terms = {name: bound(name, LOSSES[name], options) for name, options in recipe.items()}

    def value(name: str, loss: Loss, batch: Sequence[LossBatch]) -> Tensor:
        whole, *local = batch
        if not local or name in TOKEN_LOSSES:
            return loss(whole)
        return JPM_REDUCTIONS[jpm](loss(whole), torch.stack([loss(part) for part in local]).mean())

    def losses(batch: Sequence[LossBatch]) -> dict[str, Tensor]:
        values = {name: value(name, loss, batch) for name, (_, loss) in terms.items()}
        return values | {"total": torch.stack([terms[name][0] * value for name, value in values.items()]).sum()}

    return losses


__all__ = [
    "BRANCH_LOSSES",
    "JPM_REDUCTIONS",
    "LOSSES",
    "RELATION_LOSSES",
    "TOKEN_LOSSES",
    "Loss",
    "LossBatch",
    "total_loss",
]
