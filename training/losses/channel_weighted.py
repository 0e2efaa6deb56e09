"""Triplet loss on class tokens whose channels count as much as the patches leave them unexplained.

SeongSuKim95/TransReID, TripletAttentionLoss_ss_1 of commit 93a15d3, where it is added to a plain soft triplet.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from vitreid.training.losses.interface import LossBatch, Share
from vitreid.training.losses.triplet import TINY, batch_hard_indices


def channel_weighted(
    batch: LossBatch, *, keep_ratio: Share = 0.5, threshold: Share = 0.0, margin: float | None = None
) -> Tensor:
    """Triplet of anchor, hardest positive and hardest negative, who is hardest being decided on the features.

    Channel c of the distances of anchor a weighs |cls_a - v_a|_c, scaled to a maximum of 1; weights under `threshold`
    are 0. v_a sums the patches that are in the best `keep_ratio` both for a's class token and for its positive's,
    weighted by their agreement with a's, and scaled as if all patches together were as long as cls_a.
    """
    tokens = batch.transformer()
    cls, patches = tokens.cls.float(), tokens.patches.float()
    positive, negative, counted = batch_hard_indices(batch)
    weights = channel_weights(cls, patches, cls[positive], keep_ratio=keep_ratio)
    weights = torch.where(weights < threshold, 0, weights)

    def distance(other: Tensor) -> Tensor:
        return (weights * (cls - cls[other])).square().sum(1).clamp(min=TINY).sqrt()

    difference = distance(positive) - distance(negative)
    losses = softplus(difference) if margin is None else relu(difference + margin)
    return torch.where(counted, losses, 0).sum() / counted.sum().clamp(min=1)


def channel_weights(cls: Tensor, patches: Tensor, positive: Tensor, *, keep_ratio: float) -> Tensor:
    """Weights (B, D), 0 to 1, from class tokens (B, D), patches (B, N, D) and the positives' class tokens (B, D)."""
    own, theirs = (_agreement(each, patches) for each in (cls, positive))
    count = max(1, int(patches.shape[1] * keep_ratio))
    common = _best(own, count) & _best(theirs, count)
    explained, whole = (torch.einsum("bj,bjd->bd", weights, patches) for weights in (own * common, own))
    length = cls.norm(dim=1, keepdim=True) / whole.norm(dim=1, keepdim=True).clamp(min=TINY)
    left: Tensor = (cls - explained * length).abs()
    return left / left.amax(1, keepdim=True).clamp(min=TINY)


def _agreement(cls: Tensor, patches: Tensor) -> Tensor:
    products: Tensor = torch.einsum("bd,bjd->bj", cls, patches) * cls.shape[1] ** -0.5
    return products.softmax(1)


def _best(agreement: Tensor, count: int) -> Tensor:
    """Which entries of each row are among its highest."""
    return torch.zeros_like(agreement, dtype=torch.bool).scatter(1, agreement.topk(count, dim=1).indices, True)
