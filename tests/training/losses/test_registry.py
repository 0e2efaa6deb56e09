"""Every loss of the registry on what a real network gives: finite, and felt by what it is to train."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
import torch

from vitreid.training.config import parse_config
from vitreid.training.losses import (
    BRANCH_LOSSES,
    RELATION_LOSSES,
    TOKEN_LOSSES,
    LossBatch,
    LossSizes,
    TotalLoss,
    all_losses,
)
from vitreid.training.losses.interface import build_loss
from vitreid.training.losses.relation import PAIRS, relation_divergence
from vitreid.training.model import Branch, ReIDModel, ReIDOutput, build_model

RECIPE = """
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 2, num_heads = 2 }
height = 64
width = 48
relative = "bias"
[model.jpm]
parts = 2
"""
LOSSES = all_losses()
SIZES = LossSizes(identities=3, dimension=24, branches=3)
PERSONS = torch.tensor([0, 0, 1, 1, 2, 2])
FULL, MIXED = torch.float32, torch.bfloat16


@pytest.fixture
def model() -> ReIDModel:
    """A network whose positions tell something, as a trained one's do."""
    torch.manual_seed(0)
    made = build_model(parse_config(RECIPE, (), "test"), persons=3)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("pos_embed", "relative_bias", "classifier.weight")):
                parameter.copy_(0.5 * torch.randn_like(parameter))
    return made.train()


def seen(model: ReIDModel, images: torch.Tensor, dtype: torch.dtype = FULL) -> ReIDOutput:
    with torch.autocast("cpu", dtype, enabled=dtype is MIXED):
        output: ReIDOutput = model(images)
    return output


def loss_batch(output: ReIDOutput, persons: torch.Tensor, sources: torch.Tensor | None = None) -> LossBatch:
    sources = torch.arange(len(persons)) if sources is None else sources
    return LossBatch(output.branches, persons, sources, output.tokens)


def gradients(model: ReIDModel) -> dict[str, torch.Tensor]:
    return {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


class Watched(Branch):
    """A branch that knows whether somebody asked for the classifier or its logits."""

    asked: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        Watched.asked.add(name)
        return super().__getattribute__(name)


def looks_at_classes(name: str, model: ReIDModel) -> bool:
    """True for a loss of persons as classes, judged by its inputs."""
    output = seen(model, torch.randn(6, 3, 64, 48))
    branch = output.branches[0]
    batch = LossBatch((Watched(*vars(branch).values()),), PERSONS, torch.arange(6), output.tokens)
    Watched.asked.clear()
    build_loss(LOSSES[name], {}, SIZES)(batch)
    return not Watched.asked.isdisjoint({"class_weights", "logits"})


def trained_by(name: str, model: ReIDModel) -> set[str]:
    """The parameters that a loss is there for."""
    if name in RELATION_LOSSES:
        return {"backbone.position.embeddings.0.pos_embed", "backbone.blocks.1.attn.relative_bias"}
    if looks_at_classes(name, model):
        return {"backbone.blocks.1.mlp.fc2.weight", "necks.0.classifier.weight", "necks.2.classifier.weight"}
    local = {"backbone.jpm.block.mlp.fc2.weight"} if name in BRANCH_LOSSES else set()
    return {"backbone.blocks.1.mlp.fc2.weight", "backbone.patch_embed.proj.weight"} | local


def test_every_loss_is_of_one_kind() -> None:
    assert len(LOSSES) == len(BRANCH_LOSSES) + len(TOKEN_LOSSES) + len(RELATION_LOSSES)


def test_who_looks_at_classes(model: ReIDModel) -> None:
    assert looks_at_classes("identity", model)
    assert looks_at_classes("arcface", model)
    assert not looks_at_classes("triplet", model)
    assert not looks_at_classes("relation_triplet", model)


@pytest.mark.parametrize("dtype", [FULL, MIXED], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_trains_what_it_is_for(model: ReIDModel, name: str, dtype: torch.dtype) -> None:
    output = seen(model, torch.randn(6, 3, 64, 48), dtype)
    values = TotalLoss({name: {}}, SIZES)(loss_batch(output, PERSONS))
    assert values["total"].dtype is FULL
    assert torch.isfinite(values["total"])
    assert values["total"] > 0
    values["total"].backward()
    found = gradients(model)
    assert all(gradient.isfinite().all() for gradient in found.values())
    for parameter in trained_by(name, model):
        assert found[parameter].abs().sum() > 0, parameter


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [FULL, MIXED], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("alike", ["a person's", "all"])
def test_images_at_no_distance(model: ReIDModel, name: str, dtype: torch.dtype, alike: str) -> None:
    """Square roots and logarithms of zero give no infinite value."""
    images = (
        torch.randn(3, 3, 64, 48)[PERSONS] if alike == "a person's" else torch.randn(1, 3, 64, 48).expand(6, -1, -1, -1)
    )
    values = TotalLoss({name: {}}, SIZES)(loss_batch(seen(model.eval(), images, dtype), PERSONS))
    assert torch.isfinite(values["total"])
    values["total"].backward()
    assert all(gradient.isfinite().all() for gradient in gradients(model).values())


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("persons", "sources", "triplets"),
    [
        (
            [0, 0, 1, 1],
            [0, 1, 2, 3],
            True,
        ),  # two persons, two images each: the smallest batch that a recipe can ask for
        ([0, 0, 1, 1], [0, 0, 1, 1], False),  # each person's image and a copy of it
        ([0, 0, 0, 0], [0, 1, 2, 3], False),  # one person
        ([0, 1, 2], [0, 1, 2], False),  # one image a person
    ],
)
def test_the_smallest_batches(
    model: ReIDModel, name: str, persons: list[int], sources: list[int], triplets: bool
) -> None:
    output = seen(model, torch.randn(len(persons), 3, 64, 48))
    values = TotalLoss({name: {}}, SIZES)(loss_batch(output, torch.tensor(persons), torch.tensor(sources)))
    assert torch.isfinite(values["total"])
    values["total"].backward()
    assert all(gradient.isfinite().all() for gradient in gradients(model).values())
    learns = bool(values["total"] > 0)
    if looks_at_classes(name, model) or triplets:
        assert learns
    elif len(set(sources)) == len(set(persons)):
        assert not learns  # nobody has a second image
    else:
        moved = any(bool(gradient.any()) for gradient in gradients(model).values())
        assert learns == moved  # what needs no negatives pulls a person's images together; the others do nothing


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("dtype", [FULL, MIXED], ids=["fp32", "bf16"])
def test_jensen_shannon_stays_between_0_and_ln_2(
    model: ReIDModel, scale: float, pairs: str, dtype: torch.dtype
) -> None:
    """Also where relations are so large that a softmax over them is one pair alone."""
    with torch.no_grad():
        model.backbone.position.embeddings[0].pos_embed.mul_(scale)
    whole = loss_batch(seen(model, torch.randn(6, 3, 64, 48), dtype), PERSONS)
    value = float(relation_divergence(whole, pairs=pairs).detach())
    assert -1e-6 <= value <= math.log(2) + 1e-6
