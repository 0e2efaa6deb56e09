"""The interface of a loss: the batch that it gets, its sizes, and the options that a recipe may set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from vitreid.training.errors import ConfigError
from vitreid.training.model import Branch, Tokens

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Several = Annotated[int, Field(ge=2)]
Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class LossBatch:
    """A batch of B images after the network.

    `branches` are the features, the whole image's first; `identities` (B,) class indices; `sources` (B,) equal for
    copies of one image; `tokens` a transformer's; `cameras` (B,) indices, -1 = unknown. `epoch` counts from 1, `step`
    the batches of the epoch from 1.
    """

    branches: tuple[Branch, ...]
    identities: Tensor
    sources: Tensor
    tokens: Tokens | None = None
    cameras: Tensor | None = None
    epoch: int = 1
    step: int = 1

    @property
    def branch(self) -> Branch:
        """The branch that a loss is applied to: the first."""
        return self.branches[0]

    def of_branch(self, index: int) -> LossBatch:
        """Return the batch with one of its branches only."""
        return replace(self, branches=(self.branches[index],))

    def transformer(self) -> Tokens:
        """Return the tokens. Raises ConfigError where the network has none."""
        if self.tokens is None:
            raise ConfigError("losses on patches need a Vision Transformer; take another model.backbone")
        return self.tokens

    @property
    def positives(self) -> Tensor:
        """(B, B): other images of the same person; never the image itself nor a copy of it."""
        return (self.identities[:, None] == self.identities[None]) & (self.sources[:, None] != self.sources[None])

    @property
    def negatives(self) -> Tensor:
        """(B, B): images of other persons."""
        return self.identities[:, None] != self.identities[None]


@dataclass(frozen=True)
class LossSizes:
    """Sizes of the network that a loss with state may need: training persons, length of a feature, branches."""

    identities: int = 0
    dimension: int = 0
    branches: int = 1


class FunctionLoss(nn.Module):
    """A loss without state: a function of the batch with its options."""

    def __init__(self, function: Callable[..., Tensor], options: Mapping[str, object]) -> None:
        super().__init__()
        self.function = partial(function, **options)

    def forward(self, batch: LossBatch) -> Tensor:
        """Return the loss of a batch."""
        return self.function(batch)


LossKind = Callable[..., Tensor] | type[nn.Module]
"""A function `loss(batch, *, option=...)`, or a module `Loss(sizes, *, option=...)` whose forward takes the batch.

A module computes the same in all processes of a run, each of which has the whole batch: no random draws.
"""


def build_loss(kind: LossKind, options: Mapping[str, object], sizes: LossSizes) -> nn.Module:
    """Build one loss with its options."""
    return kind(sizes, **options) if isinstance(kind, type) else FunctionLoss(kind, options)


def checked_options(name: str, kind: LossKind, options: Mapping[str, object]) -> tuple[float, dict[str, object]]:
    """Return the weight and the options of a loss: its keyword-only arguments.

    Raises ConfigError for an option that does not exist or has a value out of range.
    """
    keywords = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    function: Any = vars(kind)["__init__"] if isinstance(kind, type) else kind
    hints = get_type_hints(function, include_extras=True)
    kinds: dict[str, Any] = {"weight": Weight} | {key: hints[key] for key in keywords}
    given: dict[str, Any] = {"weight": 1.0, **options}
    for key, value in given.items():
        if key not in kinds:
            raise ConfigError(f"losses.{name} has no option {key!r}; take from {', '.join(kinds)}")
        try:
            TypeAdapter(kinds[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ConfigError(f"losses.{name}.{key} = {value!r}: {error.errors()[0]['msg']}") from error
    return given.pop("weight"), given
