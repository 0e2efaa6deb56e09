"""What a loss sees of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LossInputs:
    """A batch of B pictures after the network.

    `features` (B, D) are taken before the BNNeck, `centred` (B, D) and `logits` (B, persons) after it. `persons` (B,)
    are class indices, `sources` (B,) tell copies of one picture from different pictures of a person.
    """

    features: Tensor
    centred: Tensor
    logits: Tensor
    persons: Tensor
    sources: Tensor
