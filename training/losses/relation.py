"""Losses on how the places of an image's most telling patches relate to each other.

The relation of two patches in a map (a head of a layer) is the product of their absolute position embeddings plus their
relative position bias. Images of one person should show the same relations between the patches that tell most.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vitreid.training.errors import ConfigError
from vitreid.training.losses.interface import LossBatch, Positive, Several
from vitreid.training.losses.triplet import batch_hard_indices, pairwise_distance
from vitreid.training.model import Tokens

LN_2 = math.log(2)
SOURCES = ("absolute", "relative", "both")


def combinations(count: int) -> Tensor:
    """Unordered pairs of two different ranks (2, count (count - 1) / 2)."""
    return torch.triu_indices(count, count, offset=1)


def combinations_with_replacement(count: int) -> Tensor:
    """Unordered pairs of ranks, also of a rank with itself (2, count (count + 1) / 2)."""
    return torch.triu_indices(count, count)


def permutations(count: int) -> Tensor:
    """Ordered pairs of two different ranks (2, count (count - 1)): the relative bias is not symmetric."""
    pairs = product(count)
    return pairs[:, pairs[0] != pairs[1]]


def product(count: int) -> Tensor:
    """All ordered pairs of ranks (2, count x count)."""
    return torch.cartesian_prod(torch.arange(count), torch.arange(count)).T


PAIRS: dict[str, Callable[[int], Tensor]] = {
    "combinations": combinations,
    "combinations_with_replacement": combinations_with_replacement,
    "permutations": permutations,
    "product": product,
}
"""Pairs of ranks by the names of itertools."""


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(p || q) over the last axis, at least 0."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def reverse_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(q || p) over the last axis."""
    return kl(log_q, log_p)


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half of KL(p || m) plus half of KL(q || m) with m their mean, over the last axis: 0 to ln 2."""
    log_m = torch.logaddexp(log_p, log_q) - LN_2
    return ((kl(log_p, log_m) + kl(log_q, log_m)) / 2).clamp(0, LN_2)  # which rounding passes by 1e-7


CHOICES: dict[str, Callable[[LossBatch], Tensor]] = {
    "cls": lambda batch: batch.transformer().cls,
    "person": lambda batch: batch.branch.class_weights[batch.identities],
}
"""What chooses an image's patches by its products with them (B, D): its class token, or the classifier's row of its
person."""

DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"kl": kl, "reverse_kl": reverse_kl, "js": jensen_shannon}


def relation_divergence(
    batch: LossBatch,
    *,
    divergence: str = "js",
    top: Several = 5,
    patch_query: str = "cls",
    pairs: str = "permutations",
    temperature: Positive = 1.0,
    source: str = "both",
    mean_heads: bool = False,
) -> Tensor:
    """Divergence of the relations of an anchor from those of its hardest positive.

    Relations over `pairs` of the `top` patches, in the order of their agreement with the class token or with what else
    of CHOICES they are `patch_query`, become a distribution by softmax(relation / temperature) in each map. `source`
    takes the absolute part, the relative one, or their sum; `mean_heads` averages the maps first. A mean over maps and
    over the anchors that have a positive.
    """
    relations = top_patch_relations(
        batch, top=top, patch_query=patch_query, pairs=pairs, source=source, mean_heads=mean_heads
    )
    log_p = (relations / temperature).log_softmax(-1)
    positive, _, _ = batch_hard_indices(batch)
    counted = batch.positives.any(1)
    values = _chosen(DIVERGENCES, divergence, "divergence")(log_p, log_p[positive]).mean(1)
    return torch.where(counted, values, 0).sum() / counted.sum().clamp(min=1)


def relation_triplet(
    batch: LossBatch,
    *,
    top: Several = 5,
    patch_query: str = "cls",
    pairs: str = "combinations",
    margin: float | None = None,
    source: str = "both",
    mean_heads: bool = False,
) -> Tensor:
    """Triplet of the relation vectors of anchor, hardest positive and hardest negative, by Euclidean distance.

    Who is hardest is decided on the features. Options as in `relation_divergence`.
    """
    relations = top_patch_relations(
        batch, top=top, patch_query=patch_query, pairs=pairs, source=source, mean_heads=mean_heads
    )
    distance = pairwise_distance(relations.flatten(1))
    positive, negative, counted = batch_hard_indices(batch)
    rows = torch.arange(len(distance), device=distance.device)
    difference = distance[rows, positive] - distance[rows, negative]
    losses = softplus(difference) if margin is None else (difference + margin).relu()
    return torch.where(counted, losses, 0).sum() / counted.sum().clamp(min=1)


def top_patch_relations(
    batch: LossBatch,
    *,
    top: int,
    pairs: str,
    patch_query: str = "cls",
    source: str = "both",
    mean_heads: bool = False,
) -> Tensor:
    """Relations (B, maps, pairs) between each image's `top` patches. Raises ConfigError for what is not there."""
    tokens = batch.transformer()
    between = _relations(tokens, source)
    if mean_heads:
        between = between.mean(0, keepdim=True)
    patches = tokens.patches.shape[1]
    if not 2 <= top <= patches:
        raise ConfigError(f"losses: top = {top}; an image has {patches} patches, give 2 to {patches}")
    looking = _chosen(CHOICES, patch_query, "patch_query")(batch)
    agreement = torch.einsum("bd,bjd->bj", looking.float(), tokens.patches.float())
    chosen = agreement.topk(top, dim=1).indices  # in descending order
    first, second = _chosen(PAIRS, pairs, "pairs")(top).to(chosen.device)
    return between[:, chosen[:, first], chosen[:, second]].transpose(0, 1)


def _relations(tokens: Tokens, source: str) -> Tensor:
    """Relations of all patches (maps, N, N); without relative bias there is one map."""
    if source not in SOURCES:
        raise ConfigError(f"losses: source = {source!r}; take from {', '.join(SOURCES)}")
    absolute = None if tokens.positions is None else (tokens.positions.float() @ tokens.positions.float().T)[None]
    relative = None if tokens.biases is None else tokens.biases.float()
    found = {"absolute": absolute, "relative": relative}
    wanted = [part for name, part in found.items() if source in (name, "both") and part is not None]
    if not wanted:
        raise ConfigError(
            f"losses: source = {source!r}, but the network has no such position; "
            "set model.position = '1d' or model.relative = 'bias'"
        )
    return wanted[0] if len(wanted) == 1 else wanted[0] + wanted[1]


def _chosen(table: dict[str, Callable[..., Tensor]], name: str, option: str) -> Callable[..., Tensor]:
    if name not in table:
        raise ConfigError(f"losses: {option} = {name!r}; take from {', '.join(table)}")
    return table[name]
