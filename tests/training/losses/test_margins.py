"""Margin losses against slow loops over images and persons."""

from __future__ import annotations

import math

import pytest
import torch

from vitreid.training.losses import LossBatch
from vitreid.training.losses.margins import am_softmax, arcface, circle, cosface
from vitreid.training.model import Branch


@pytest.fixture
def batch() -> LossBatch:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 5, generator=generator)
    rows = torch.randn(4, 5, generator=generator)
    return LossBatch(
        (Branch(features, features - features.mean(0), features @ rows.T, rows),),
        torch.tensor([0, 0, 2, 2, 3, 1]),
        torch.tensor([0, 1, 2, 2, 4, 5]),
    )


def cosine(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(x @ y / (x.norm() * y.norm()))


def cross_entropy(rows: list[list[float]], persons: list[int]) -> float:
    total = 0.0
    for row, person in zip(rows, persons, strict=True):
        total += math.log(sum(math.exp(value - row[person]) for value in row))
    return total / len(rows)


def slow(batch: LossBatch, scale: float, move: object) -> float:
    rows = []
    for i, person in enumerate(batch.identities.tolist()):
        row = [cosine(batch.branch.bn_features[i], each) for each in batch.branch.class_weights]
        row[person] = move(row[person])
        rows.append([scale * value for value in row])
    return cross_entropy(rows, batch.identities.tolist())


@pytest.mark.parametrize("margin", [0.0, 0.35])
def test_cosface(batch: LossBatch, margin: float) -> None:
    expected = slow(batch, 8.0, lambda own: own - margin)
    assert float(cosface(batch, scale=8.0, margin=margin)) == pytest.approx(expected, rel=1e-4)
    assert float(am_softmax(batch, scale=8.0, margin=margin)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_arcface(batch: LossBatch, margin: float) -> None:
    def move(own: float) -> float:
        angle = math.acos(own)
        return math.cos(angle + margin) if angle + margin < math.pi else own - margin * math.sin(margin)

    assert float(arcface(batch, scale=8.0, margin=margin)) == pytest.approx(slow(batch, 8.0, move), rel=1e-4)


def test_circle(batch: LossBatch) -> None:
    """Equation 6 for each anchor with positives and negatives; copies of an image are no positives."""
    scale, margin = 8.0, 0.25
    features, persons, sources = batch.branch.features, batch.identities.tolist(), batch.sources.tolist()
    losses = []
    for a in range(6):
        pull, push = 0.0, 0.0
        for o in range(6):
            s = cosine(features[a], features[o])
            if persons[o] != persons[a]:
                push += math.exp(scale * max(0.0, s + margin) * (s - margin))
            elif sources[o] != sources[a]:
                pull += math.exp(-scale * max(0.0, 1 + margin - s) * (s - (1 - margin)))
        if pull and push:
            losses.append(math.log(1 + pull * push))
    assert len(losses) == 2  # the others are alone, or copies
    assert float(circle(batch, scale=scale, margin=margin)) == pytest.approx(sum(losses) / 2, rel=1e-4)


def test_circle_without_any_pair_is_zero(batch: LossBatch) -> None:
    alone = LossBatch(batch.branches, torch.arange(6), torch.arange(6))
    assert float(circle(alone)) == 0
