"""Losses against slow loops, and the recipe's view of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from vitreid.training.errors import ConfigError
from vitreid.training.losses import LossBatch, LossSizes, TotalLoss, all_losses
from vitreid.training.losses.identity import identity
from vitreid.training.losses.triplet import triplet
from vitreid.training.model import Branch


def batch(persons: list[int], sources: list[int] | None = None, seed: int = 0, classes: int = 5) -> LossBatch:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(persons), 6, generator=generator, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(classes, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    bn_features = features - features.mean(0)
    return LossBatch(
        (Branch(features, bn_features, bn_features @ rows.T, rows),),
        torch.tensor(persons),
        torch.tensor(sources or list(range(len(persons)))),
    )


def slow_triplet(b: LossBatch, margin: float | None, squared: bool) -> float:
    total, counted = 0.0, 0
    x = b.branch.features.detach().float()
    for a in range(len(x)):
        positives, negatives = [], []
        for o in range(len(x)):
            distance = sum(float((x[a, d] - x[o, d]) ** 2) for d in range(x.shape[1]))
            distance = distance if squared else math.sqrt(distance)
            if b.identities[o] != b.identities[a]:
                negatives.append(distance)
            elif b.sources[o] != b.sources[a]:
                positives.append(distance)
        if positives and negatives:
            difference = max(positives) - min(negatives)
            total += math.log1p(math.exp(difference)) if margin is None else max(0.0, difference + margin)
            counted += 1
    return total / max(counted, 1)


@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(
    ("persons", "sources"),
    [
        ([0, 0, 1, 1, 2, 2], None),
        ([0, 0, 0, 1, 2, 2, 2, 2], None),  # unequal counts, one person alone
        ([0, 0, 0, 1, 1, 1], [7, 7, 8, 9, 9, 9]),  # copies of one image
        ([0, 0, 0, 0], None),  # one person
        ([0, 1, 2], None),  # one image a person
    ],
)
def test_triplet_equals_slow_loops(
    persons: list[int], sources: list[int] | None, margin: float | None, squared: bool
) -> None:
    b = batch(persons, sources)
    found = triplet(b, margin=margin, squared=squared).detach()
    assert float(found) == pytest.approx(slow_triplet(b, margin, squared), rel=1e-5)


def test_triplet_after_the_neck_and_at_unit_length() -> None:
    b = batch([0, 0, 1, 1, 2, 2])
    expected = batch([0, 0, 1, 1, 2, 2])
    rows = b.branch.bn_features.detach()
    scaled = replace(b, branches=(replace(b.branch, features=rows / rows.norm(dim=1, keepdim=True)),))
    assert float(triplet(b, margin=0.3, bnneck="after", normalize=True).detach()) == pytest.approx(
        slow_triplet(scaled, 0.3, squared=False), rel=1e-5
    )
    assert not torch.equal(triplet(b, bnneck="after", normalize=True), triplet(expected))
    with pytest.raises(ConfigError, match="bnneck = 'beside'; take from before, after"):
        triplet(b, bnneck="beside")


def test_copies_are_no_positives() -> None:
    """A person who is there only as copies of one image gives no triplet, and no infinite gradient."""
    b = batch([0, 0, 1, 1], [5, 5, 6, 6])
    assert triplet(b).detach() == 0
    zeros = torch.zeros(4, 3, requires_grad=True)
    triplet(replace(b, branches=(replace(b.branch, features=zeros),), sources=torch.arange(4))).backward()
    assert zeros.grad is not None
    assert torch.isfinite(zeros.grad).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identity_equals_slow_loops(smoothing: float) -> None:
    b = batch([0, 3, 4, 4])
    total = 0.0
    for row, person in zip(b.branch.logits.detach().double(), b.identities, strict=True):
        log_sum = math.log(sum(math.exp(float(v)) for v in row))
        for j, value in enumerate(row):
            target = smoothing / len(row) + (1 - smoothing) * (j == int(person))
            total -= target * (float(value) - log_sum)
    assert float(identity(b, label_smoothing=smoothing).detach()) == pytest.approx(total / 4, rel=1e-5)


def test_the_total_is_the_weighted_sum() -> None:
    b = batch([0, 0, 1, 1])
    values = TotalLoss({"identity": {"weight": 0.5, "label_smoothing": 0.1}, "triplet": {"weight": 2, "margin": 0.3}})(
        b
    )
    expected = 0.5 * float(identity(b, label_smoothing=0.1).detach()) + 2 * float(triplet(b, margin=0.3).detach())
    assert float(values["total"].detach()) == pytest.approx(expected, rel=1e-6)
    assert set(values) == {"identity", "triplet", "total"}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"trplet": {}}, "no loss 'trplet'; take from identity, arcface"),
        ({"triplet": {"margn": 1}}, "no option 'margn'; take from weight, margin, squared, bnneck, normalize"),
        ({"triplet": {"weight": -1}}, "losses.triplet.weight = -1: Input should be greater than or equal to 0"),
        ({"triplet": {"weight": "much"}}, "losses.triplet.weight = 'much': Input should be a valid number"),
        ({"triplet": {"margin": "0.3"}}, "losses.triplet.margin = '0.3': Input should be a valid number"),
        ({"triplet": {"squared": 1}}, "losses.triplet.squared = 1: Input should be a valid boolean"),
        ({"identity": {"label_smoothing": 2}}, "label_smoothing = 2: Input should be less than or equal to 1"),
        ({"relation_divergence": {"top": 1}}, "top = 1: Input should be greater than or equal to 2"),
        ({"relation_divergence": {"temperature": 0}}, "temperature = 0: Input should be greater than 0"),
    ],
)
def test_mistyped_recipes(recipe: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TotalLoss(recipe)


@pytest.mark.parametrize(("jpm", "share"), [("paper", 1.0), ("code", 0.5)])
def test_local_parts_count_by_their_mean(jpm: str, share: float) -> None:
    whole, first, second = (batch([0, 0, 1, 1], seed=seed) for seed in range(3))
    values = TotalLoss({"identity": {}, "triplet": {}}, LossSizes(branches=3), jpm=jpm)(
        replace(whole, branches=tuple(each.branch for each in (whole, first, second)))
    )
    for name in ("identity", "triplet"):
        alone = [float(all_losses()[name](each).detach()) for each in (whole, first, second)]
        expected = share * (alone[0] + (alone[1] + alone[2]) / 2)
        assert float(values[name].detach()) == pytest.approx(expected, rel=1e-5)
