"""Losses over the training persons that ask for a margin between angles.

`bn_features` and the classifier's rows are scaled to unit length; their products are cosines.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot, softplus

from vitreid.training.losses.interface import LossBatch, Positive


def cosines(batch: LossBatch) -> Tensor:
    """Cosines (B, persons) of the features with the persons' rows."""
    return normalize(batch.branch.bn_features.float(), dim=1) @ normalize(batch.branch.class_weights.float(), dim=1).T


def arcface(batch: LossBatch, *, scale: Positive = 30.0, margin: float = 0.5) -> Tensor:
    """Cross entropy of scale x cosines, the own person's angle made larger by `margin` radians.

    Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, equation 3. An angle
    that would pass pi takes the line cos(t) - margin sin(margin) instead, so that the loss keeps falling with it.
    """
    cosine = cosines(batch)
    own = cosine.gather(1, batch.identities[:, None])
    sine = (1 - own.square()).clamp(min=1e-12).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    moved = torch.where(own > math.cos(math.pi - margin), moved, own - margin * math.sin(margin))
    return cross_entropy(scale * cosine.scatter(1, batch.identities[:, None], moved), batch.identities)


def cosface(batch: LossBatch, *, scale: Positive = 64.0, margin: float = 0.35) -> Tensor:
    """Cross entropy of scale x cosines, the own person's cosine made smaller by `margin`.

    Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018, equation 4.
    """
    cosine = cosines(batch)
    own = one_hot(batch.identities, cosine.shape[1])
    return cross_entropy(scale * (cosine - margin * own), batch.identities)


def am_softmax(batch: LossBatch, *, scale: Positive = 30.0, margin: float = 0.35) -> Tensor:
    """CosFace with the scale of its twin.

    Wang et al., "Additive Margin Softmax for Face Verification", IEEE Signal Processing Letters 2018, equation 6.
    """
    return cosface(batch, scale=scale, margin=margin)


def circle(batch: LossBatch, *, scale: Positive = 64.0, margin: float = 0.25) -> Tensor:
    """Pull every positive pair's cosine to 1 and push every negative pair's to 0, each as hard as it is far off.

    Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020, equations 6 and 8, over
    all pairs of an anchor; a mean over the anchors that have both kinds of pair, 0 where none has.
    """
    features = normalize(batch.branch.features.float(), dim=1)
    cosine = features @ features.T
    positive, negative = batch.positives, batch.negatives
    pull = -scale * (1 + margin - cosine.detach()).clamp(min=0) * (cosine - 1 + margin)
    push = scale * (cosine.detach() + margin).clamp(min=0) * (cosine - margin)
    lowest = torch.finfo(cosine.dtype).min
    total = pull.masked_fill(~positive, lowest).logsumexp(1) + push.masked_fill(~negative, lowest).logsumexp(1)
    counted = positive.any(1) & negative.any(1)
    return torch.where(counted, softplus(total), 0).sum() / counted.sum().clamp(min=1)
