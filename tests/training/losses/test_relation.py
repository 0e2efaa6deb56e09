"""Losses on patches against slow loops, and what the slides say of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from vitreid.training.errors import ConfigError
from vitreid.training.losses import LossBatch
from vitreid.training.losses.channel_weighted import channel_weighted
from vitreid.training.losses.relation import (
    CHOICES,
    DIVERGENCES,
    PAIRS,
    relation_divergence,
    relation_triplet,
    top_patch_relations,
)
from vitreid.training.losses.weighted_triplet import pool_by_positives, weighted_triplet
from vitreid.training.model import Branch, Tokens

PERSONS = [0, 0, 0, 1, 1, 2]
TOP = 3


@pytest.fixture
def batch() -> LossBatch:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    features = random(6, 4)
    tokens = Tokens(cls=random(6, 4), patches=random(6, 7, 4), positions=random(7, 4), biases=random(2, 7, 7))
    branch = Branch(features, features, random(6, 3), random(3, 4))
    return LossBatch((branch,), torch.tensor(PERSONS), torch.arange(6), tokens)


def hardest(batch: LossBatch, anchor: int) -> tuple[int, int] | None:
    x = batch.branch.features.detach()
    away = [(float((x[anchor] - x[o]).norm()), o) for o in range(6)]
    same = [pair for pair in away if PERSONS[pair[1]] == PERSONS[anchor] and pair[1] != anchor]
    other = [pair for pair in away if PERSONS[pair[1]] != PERSONS[anchor]]
    return (max(same)[1], min(other)[1]) if same and other else None


def relations(
    batch: LossBatch, image: int, pairs: list[tuple[int, int]], patch_query: str = "cls"
) -> list[list[float]]:
    """One list of relations a map."""
    tokens = batch.transformer()
    assert tokens.positions is not None
    assert tokens.biases is not None
    cls, patches, places, biases = (
        each.detach() for each in (tokens.cls, tokens.patches, tokens.positions, tokens.biases)
    )
    looking = cls[image] if patch_query == "cls" else batch.branch.class_weights[PERSONS[image]].detach()
    agreement = [float(looking @ patches[image, j]) for j in range(7)]
    best = sorted(range(7), key=lambda j: -agreement[j])[:TOP]
    return [
        [float(places[best[a]] @ places[best[b]] + biases[m, best[a], best[b]]) for a, b in pairs] for m in range(2)
    ]


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def pairs_of(name: str) -> list[tuple[int, int]]:
    """The function of itertools with this name."""
    if name == "product":
        return list(itertools.product(range(TOP), range(TOP)))
    return list(getattr(itertools, name)(range(TOP), 2))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_those_of_itertools(name: str) -> None:
    assert sorted(map(tuple, PAIRS[name](TOP).T.tolist())) == sorted(pairs_of(name))


def slow_divergence(name: str, p: list[float], q: list[float]) -> float:
    def kl(x: list[float], y: list[float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(x, y, strict=True))

    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return {"kl": kl(p, q), "reverse_kl": kl(q, p), "js": (kl(p, m) + kl(q, m)) / 2}[name]


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize(
    ("pairs", "patch_query"), [("permutations", "cls"), ("product", "person"), ("combinations_with_replacement", "cls")]
)
def test_divergence_equals_slow_loops(
    batch: LossBatch, name: str, temperature: float, pairs: str, patch_query: str
) -> None:
    values = []
    for anchor in range(6):
        if (found := hardest(batch, anchor)) is None:
            continue
        ours, theirs = (relations(batch, image, pairs_of(pairs), patch_query) for image in (anchor, found[0]))
        each = [
            slow_divergence(name, softmax(p, temperature), softmax(q, temperature))
            for p, q in zip(ours, theirs, strict=True)
        ]
        values.append(sum(each) / 2)
    found_loss = relation_divergence(
        batch, divergence=name, top=TOP, temperature=temperature, pairs=pairs, patch_query=patch_query
    )
    assert float(found_loss.detach()) == pytest.approx(sum(values) / len(values), rel=1e-4)


@pytest.mark.parametrize("patch_query", CHOICES)
@pytest.mark.parametrize("margin", [None, 0.3])
def test_relation_triplet_equals_slow_loops(batch: LossBatch, patch_query: str, margin: float | None) -> None:
    losses = []
    for anchor in range(6):
        if (found := hardest(batch, anchor)) is None:
            continue
        mine, positive, negative = (
            [value for row in relations(batch, image, pairs_of("combinations"), patch_query) for value in row]
            for image in (anchor, *found)
        )
        difference = math.dist(mine, positive) - math.dist(mine, negative)
        losses.append(math.log1p(math.exp(difference)) if margin is None else max(0.0, difference + margin))
    found_loss = relation_triplet(batch, top=TOP, patch_query=patch_query, margin=margin)
    assert float(found_loss.detach()) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_jensen_shannon_stays_below_ln_2() -> None:
    p, q = torch.tensor([1.0, 1e-12]).log(), torch.tensor([1e-12, 1.0]).log()
    assert float(DIVERGENCES["js"](p, q)) == pytest.approx(math.log(2), abs=1e-6)
    assert float(DIVERGENCES["js"](p, p)) == pytest.approx(0, abs=1e-7)
    generator = torch.Generator().manual_seed(0)
    first = 10 * torch.randn(5000, 20, generator=generator)
    others = [first + change * torch.randn(5000, 20, generator=generator) for change in (0, 1e-6, 1e-3, 1, 100)]
    p, q = (torch.cat(each).log_softmax(-1) for each in ([first] * len(others), others))
    values = DIVERGENCES["js"](p, q)
    assert ((values >= 0) & (values <= math.log(2))).all()


@pytest.mark.parametrize("loss", [relation_divergence, relation_triplet])
def test_gradients_reach_positions_and_biases(batch: LossBatch, loss: object) -> None:
    loss(batch, top=TOP).backward()
    assert batch.tokens is not None
    for each in (batch.tokens.positions, batch.tokens.biases):
        assert each is not None
        assert each.grad is not None
        assert each.grad.abs().sum() > 0


def test_one_part_or_the_mean_of_the_heads(batch: LossBatch) -> None:
    absolute = top_patch_relations(batch, top=TOP, pairs="permutations", source="absolute")
    relative = top_patch_relations(batch, top=TOP, pairs="permutations", source="relative")
    both = top_patch_relations(batch, top=TOP, pairs="permutations")
    assert (absolute.shape, relative.shape, both.shape) == ((6, 1, 6), (6, 2, 6), (6, 2, 6))
    torch.testing.assert_close(both, absolute + relative)
    mean = top_patch_relations(batch, top=TOP, pairs="permutations", mean_heads=True)
    torch.testing.assert_close(mean, both.mean(1, keepdim=True))


def test_constant_positions_have_no_divergence(batch: LossBatch) -> None:
    assert batch.tokens is not None
    flat = replace(batch.tokens, positions=torch.ones(7, 4), biases=torch.zeros(2, 7, 7))
    assert float(relation_divergence(replace(batch, tokens=flat), top=TOP)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("detach", [False, True])
def test_weighted_pooling_equals_slow_loops(batch: LossBatch, detach: bool) -> None:
    tokens = batch.transformer()
    expected = torch.zeros(6, 4)
    for a in range(6):
        lookers = [x for x in range(6) if PERSONS[x] == PERSONS[a] and x != a] or [a]
        weights = torch.zeros(7)
        for x in lookers:
            weights += (tokens.patches[a] @ tokens.cls[x] / 2).detach().softmax(0)
        for j in range(7):
            expected[a] += weights[j] / len(lookers) * tokens.patches[a, j].detach()
    found = pool_by_positives(tokens.cls, tokens.patches, batch.positives, detach=detach)
    torch.testing.assert_close(found.detach(), expected)
    weighted_triplet(batch, detach=detach).backward()
    assert (tokens.cls.grad is None) is detach


@pytest.mark.parametrize("margin", [None, 0.3])
def test_weighted_triplet_equals_slow_loops(batch: LossBatch, margin: float | None) -> None:
    tokens = batch.transformer()
    pooled = pool_by_positives(tokens.cls, tokens.patches, batch.positives).tolist()  # tested above
    losses = []
    for a in range(6):
        same = [math.dist(pooled[a], pooled[o]) for o in range(6) if PERSONS[o] == PERSONS[a] and o != a]
        other = [math.dist(pooled[a], pooled[o]) for o in range(6) if PERSONS[o] != PERSONS[a]]
        if same:
            difference = max(same) - min(other)
            losses.append(math.log1p(math.exp(difference)) if margin is None else max(0.0, difference + margin))
    assert len(losses) == 5
    assert float(weighted_triplet(batch, margin=margin).detach()) == pytest.approx(sum(losses) / 5, rel=1e-4)


def slow_channel_distances(batch: LossBatch, anchor: int, keep_ratio: float, threshold: float) -> tuple[float, float]:
    """Of an anchor to its hardest positive and negative, channel by channel."""
    tokens, found = batch.transformer(), hardest(batch, anchor)
    assert found is not None
    cls, patches = tokens.cls.detach().tolist(), tokens.patches.detach().tolist()

    def agreement(image: int) -> list[float]:
        looked = [sum(c * p for c, p in zip(cls[image], patches[anchor][j], strict=True)) / 2 for j in range(7)]
        return softmax(looked, 1.0)

    def best(values: list[float]) -> set[int]:
        return set(sorted(range(7), key=lambda j: -values[j])[: int(7 * keep_ratio)])

    own = agreement(anchor)
    common = best(own) & best(agreement(found[0]))
    whole = [sum(own[j] * patches[anchor][j][c] for j in range(7)) for c in range(4)]
    part = [sum(own[j] * patches[anchor][j][c] for j in common) for c in range(4)]
    length = math.hypot(*cls[anchor]) / math.hypot(*whole)
    left = [abs(cls[anchor][c] - part[c] * length) for c in range(4)]
    weights = [value / max(left) if value / max(left) >= threshold else 0.0 for value in left]
    positive, negative = (
        math.hypot(*(weights[c] * (cls[anchor][c] - cls[other][c]) for c in range(4))) for other in found
    )
    return positive, negative


@pytest.mark.parametrize("keep_ratio", [0.5, 0.8])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
@pytest.mark.parametrize("margin", [None, 0.3])
def test_channel_weighted_equals_slow_loops(
    batch: LossBatch, keep_ratio: float, threshold: float, margin: float | None
) -> None:
    losses = []
    for anchor in (a for a in range(6) if hardest(batch, a) is not None):
        positive, negative = slow_channel_distances(batch, anchor, keep_ratio, threshold)
        difference = positive - negative
        losses.append(math.log1p(math.exp(difference)) if margin is None else max(0.0, difference + margin))
    found = channel_weighted(batch, keep_ratio=keep_ratio, threshold=threshold, margin=margin)
    assert float(found.detach()) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"top": 8}, "an image has 7 patches"),
        ({"top": 1}, "an image has 7 patches"),
        ({"pairs": "triples"}, "take from combinations, combinations_with_replacement, permutations, product"),
        ({"patch_query": "me"}, "take from cls, person"),
        ({"source": "neither"}, "take from absolute, relative, both"),
    ],
)
def test_wrong_options(batch: LossBatch, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        relation_divergence(batch, **values)


def test_what_the_network_does_not_have(batch: LossBatch) -> None:
    assert batch.tokens is not None
    bare = replace(batch, tokens=replace(batch.tokens, positions=None, biases=None))
    with pytest.raises(ConfigError, match="has no such position"):
        relation_divergence(bare, top=TOP)
    with pytest.raises(ConfigError, match="need a Vision Transformer"):
        weighted_triplet(replace(batch, tokens=None))
