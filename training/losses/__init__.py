"""Losses by name. A new one is a file beside these and a line in a dictionary; a recipe gives its weight and options.

The dictionary states what a loss applies to. A loss is a function of a batch, or a module with state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from vitreid.training.errors import ConfigError
from vitreid.training.losses.channel_weighted import channel_weighted
from vitreid.training.losses.identity import identity
from vitreid.training.losses.interface import LossBatch, LossKind, LossSizes, build_loss, checked_options
from vitreid.training.losses.margins import am_softmax, arcface, circle, cosface
from vitreid.training.losses.relation import relation_divergence, relation_triplet
from vitreid.training.losses.triplet import triplet
from vitreid.training.losses.weighted_triplet import weighted_triplet

BRANCH_LOSSES: dict[str, LossKind] = {
    "identity": identity,
    "arcface": arcface,
    "cosface": cosface,
    "am_softmax": am_softmax,
    "circle": circle,
    "triplet": triplet,
}
"""Applied to the whole image's feature and to every local one. A module exists once per branch."""

TOKEN_LOSSES: dict[str, LossKind] = {"weighted_triplet": weighted_triplet, "channel_weighted": channel_weighted}
"""Applied once, to a transformer's tokens."""

RELATION_LOSSES: dict[str, LossKind] = {
    "relation_triplet": relation_triplet,
    "relation_divergence": relation_divergence,
}
"""Applied once, to the relations of a transformer's positions; they need these to differ from patch to patch."""

JPM_REDUCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "paper": lambda whole, local: whole + local,
    "code": lambda whole, local: (whole + local) / 2,
}
"""Combine the loss of the whole image with the mean over its parts: as in TransReID's paper, and as in its code."""


def all_losses() -> dict[str, LossKind]:
    """Return every loss by name."""
    return BRANCH_LOSSES | TOKEN_LOSSES | RELATION_LOSSES


def need_tokens(names: Mapping[str, object]) -> bool:
    """Return whether any of these losses is applied to tokens."""
    return not (TOKEN_LOSSES | RELATION_LOSSES).keys().isdisjoint(names)


class TotalLoss(nn.Module):
    """Weighted sum of a recipe's losses: `{name: {"weight": 1.0, option: value}}`.

    Parameters and buffers of its losses are trained, saved and resumed with the run. `jpm` is a name of JPM_REDUCTIONS.
    """

    def __init__(
        self,
        recipe: Mapping[str, Mapping[str, object]],
        sizes: LossSizes = LossSizes(),  # noqa: B008  # a frozen value
        *,
        jpm: str = "paper",
    ) -> None:
        """Raises ConfigError for a name or an option that does not exist."""
        super().__init__()
        known = all_losses()
        if unknown := sorted(recipe.keys() - known.keys()):
            raise ConfigError(f"there is no loss {unknown[0]!r}; take from {', '.join(known)}")
        self.weights: dict[str, float] = {}
        self.terms = nn.ModuleDict()
        self._reduce, self._branches = JPM_REDUCTIONS[jpm], sizes.branches
        for name, given in recipe.items():
            self.weights[name], options = checked_options(name, known[name], given)
            count = sizes.branches if name in BRANCH_LOSSES else 1
            self.terms[name] = nn.ModuleList(build_loss(known[name], options, sizes) for _ in range(count))

    def forward(self, batch: LossBatch) -> dict[str, Tensor]:
        """Return every loss by name, unweighted, and their weighted sum as "total"."""
        assert len(batch.branches) == self._branches, f"{len(batch.branches)} branches, not {self._branches}"
        values = {name: self._value(name, batch) for name in self.weights}
        total = torch.stack([self.weights[name] * value for name, value in values.items()]).sum()
        return values | {"total": total}

    def _value(self, name: str, batch: LossBatch) -> Tensor:
        terms = self.terms[name]
        assert isinstance(terms, nn.ModuleList)
        whole, *local = [term(batch.of_branch(index)) for index, term in enumerate(terms)]
        return self._reduce(whole, torch.stack(local).mean()) if local else whole


__all__ = [
    "BRANCH_LOSSES",
    "JPM_REDUCTIONS",
    "RELATION_LOSSES",
    "TOKEN_LOSSES",
    "LossBatch",
    "LossKind",
    "LossSizes",
    "TotalLoss",
    "all_losses",
    "need_tokens",
]
