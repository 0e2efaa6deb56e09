"""Batch-hard triplet loss.

Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017, equation 5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize as unit_length
from torch.nn.functional import relu, softplus

from vitreid.training.errors import ConfigError
from vitreid.training.losses.interface import LossBatch

SIDES = {"before": "features", "after": "bn_features"}
TINY = 1e-12  # keeps the square root's gradient finite where two embeddings coincide


def triplet(
    batch: LossBatch,
    *,
    margin: float | None = None,
    squared: bool = False,
    bnneck: str = "before",
    normalize: bool = False,
) -> Tensor:
    """Pull every anchor's farthest positive nearer than its nearest negative, by Euclidean distance.

    Without `margin` it is the soft margin log(1 + exp(positive - negative)). Positives exclude the anchor and copies
    of its image. An anchor without a positive or a negative does not count; if no anchor counts the loss is 0.
    `bnneck` is the side of the BNNeck on which distances are taken. Before it, a network of random weights can make
    all features alike, which is worth more than separating the hardest triplets, and stay there; after it, it cannot.
    `normalize` scales features to unit length first.
    """
    if bnneck not in SIDES:
        raise ConfigError(f"losses.triplet.bnneck = {bnneck!r}; take from {', '.join(SIDES)}")
    features: Tensor = getattr(batch.branch, SIDES[bnneck])
    distance = pairwise_distance(unit_length(features.float()) if normalize else features.float(), squared=squared)
    return batch_hard(distance, batch, margin=margin)


def batch_hard(distance: Tensor, batch: LossBatch, *, margin: float | None) -> Tensor:
    """The triplet loss of distances (B, B); without `margin` it is the soft margin."""
    positive, positive_found = hardest(distance, batch.positives, farthest=True)
    negative, negative_found = hardest(distance, batch.negatives, farthest=False)
    difference = positive - negative
    losses = softplus(difference) if margin is None else relu(difference + margin)
    counted = positive_found & negative_found
    return torch.where(counted, losses, 0).sum() / counted.sum().clamp(min=1)


def batch_hard_indices(batch: LossBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Who is each anchor's hardest positive (B,) and negative (B,) by the features, and whether it has both (B,)."""
    distance = pairwise_distance(batch.branch.features.detach().float())
    positive = distance.masked_fill(~batch.positives, -torch.inf).argmax(1)
    negative = distance.masked_fill(~batch.negatives, torch.inf).argmin(1)
    return positive, negative, batch.positives.any(1) & batch.negatives.any(1)


def pairwise_distance(features: Tensor, *, squared: bool = False) -> Tensor:
    """Euclidean distances (B, B) between the rows of (B, D)."""
    square = features.square().sum(1)
    squares = (square[:, None] + square[None] - 2 * features @ features.T).clamp(min=TINY)
    return squares if squared else squares.sqrt()


def hardest(distance: Tensor, allowed: Tensor, *, farthest: bool) -> tuple[Tensor, Tensor]:
    """The farthest or nearest allowed entry of each row (B,), and whether the row has one (B,).

    A row without an allowed entry gives 0.
    """
    worst = -torch.inf if farthest else torch.inf
    candidates = distance.masked_fill(~allowed, worst)
    values = candidates.amax(1) if farthest else candidates.amin(1)
    found = allowed.any(1)
    return torch.where(found, values, 0), found
