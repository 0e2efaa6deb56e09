"""What a loss sees of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vitreid.training.errors import ConfigError
from vitreid.training.model import Branch, Tokens


@dataclass(frozen=True)
class LossBatch:
    """A batch of B images after the network, seen through one `branch` of it.

    `identities` (B,) are class indices, `sources` (B,) tell copies of one image from different images of a person.
    `tokens` are a transformer's.
    """

    branch: Branch
    identities: Tensor
    sources: Tensor
    tokens: Tokens | None = None

    def transformer(self) -> Tokens:
        """The tokens. Raises ConfigError where the network has none."""
        if self.tokens is None:
            raise ConfigError("losses that look at patches need a Vision Transformer; take another model.backbone")
        return self.tokens

    @property
    def positives(self) -> Tensor:
        """(B, B): other images of the same person; never the image itself nor a copy of it."""
        return (self.identities[:, None] == self.identities[None]) & (self.sources[:, None] != self.sources[None])

    @property
    def negatives(self) -> Tensor:
        """(B, B): images of other persons."""
        return self.identities[:, None] != self.identities[None]
