"""Triplet loss on patches pooled by what the images of a person have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreid.training.losses.interface import LossBatch
from vitreid.training.losses.triplet import batch_hard, pairwise_distance


def weighted_triplet(batch: LossBatch, *, margin: float | None = None, detach: bool = False) -> Tensor:
    """Batch-hard triplet on patches weighted by the class tokens of the image's positives.

    Image x looks at the patches j of image a with s = softmax_j(cls_x . patch_aj / sqrt D); the weight of a patch
    is the mean of s over a's positives (a's own class token where it has none), and a's feature the weighted sum of
    its patches. `detach` keeps gradients out of the weights.
    """
    tokens = batch.transformer()
    pooled = pool_by_positives(tokens.cls.float(), tokens.patches.float(), batch.positives, detach=detach)
    return batch_hard(pairwise_distance(pooled), batch, margin=margin)


def pool_by_positives(cls: Tensor, patches: Tensor, positives: Tensor, *, detach: bool = False) -> Tensor:
    """(B, D) from class tokens (B, D), patches (B, N, D) and who is whose positive (B, B)."""
    alone = ~positives.any(1)
    looking = (positives | torch.diag(alone)).float()
    looking = looking / looking.sum(1, keepdim=True)
    agreement = torch.einsum("xd,ajd->axj", cls, patches) * cls.shape[1] ** -0.5
    weights = torch.einsum("ax,axj->aj", looking, agreement.softmax(2))
    return torch.einsum("aj,ajd->ad", weights.detach() if detach else weights, patches)
