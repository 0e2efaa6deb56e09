"""Weights of timm bring the pixels that they were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg
from timm.models.vision_transformer import checkpoint_filter_fn

from vitreid.training.config import TrainConfig, parse_config
from vitreid.training.datasets import read_dataset
from vitreid.training.pretrained.pixels import with_published_pixels
from vitreid.training.reid_task import reid_trainer

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def config(backbone: str, *lines: str) -> TrainConfig:
    return parse_config("\n".join(["[model]", f'backbone = "{backbone}"', 'weights = "timm"', *lines]), (), "test")


def test_the_recipe_states_nothing() -> None:
    taken, notes = with_published_pixels(config("deit_tiny_patch16_224.fb_in1k"))
    assert (taken.model.mean, taken.model.std, taken.model.resize) == (MEAN, STD, "bicubic")
    told = "model.mean 0.485 0.456 0.406, model.std 0.229 0.224 0.225, model.resize bicubic"
    assert notes == [f"from timm's weights for deit_tiny_patch16_224.fb_in1k: {told}"]
    assert with_published_pixels(taken) == (taken, [])  # as when a run is resumed from its written recipe
    assert with_published_pixels(config("resnet50.tv_in1k"))[0].model.image.resize == "bilinear"


def test_the_recipe_states_something_else() -> None:
    stated = config("deit_tiny_patch16_224.fb_in1k", "mean = [0.5, 0.5, 0.5]", "std = [0.229, 0.224, 0.225]")
    taken, notes = with_published_pixels(stated)
    assert (taken.model.mean, taken.model.std) == ((0.5, 0.5, 0.5), STD)
    assert notes[1:] == [
        "the recipe sets model.mean 0.5 0.5 0.5, timm's weights for deit_tiny_patch16_224.fb_in1k model.mean 0.485 "
        "0.456 0.406"
    ]


def test_other_weights_bring_none() -> None:
    random = parse_config('[model]\nbackbone = "deit_tiny_patch16_224"', (), "test")
    assert with_published_pixels(random) == (random, [])


@pytest.mark.parametrize("kind", ["vit_*", "deit*", "resnet*"])
def test_every_tag_of_timm(kind: str) -> None:
    for name in timm.list_models(kind, pretrained=True):
        published = get_pretrained_cfg(name)
        taken = with_published_pixels(config(name))[0].model
        assert (taken.mean, taken.std) == (tuple(published.mean), tuple(published.std)), name


def test_a_run_trains_with_them(people: Path) -> None:
    small = "options = { embed_dim = 24, depth = 1, num_heads = 2 }\nheight = 64\nwidth = 32"
    recipe = config("deit_tiny_patch16_224.fb_in1k", small, "[data]", "workers = 0", "identities_per_batch = 4")
    run = reid_trainer(recipe, read_dataset("market1501", people), "people", torch.device("cpu"), fresh=False)
    assert run.task.config.model.mean == MEAN
    assert run.task.network.mean.flatten().tolist() == pytest.approx(MEAN)
    assert any("model.mean 0.485" in note for note in run.task.notes)


def test_timm_resizes_positions_by_the_shape_of_their_grid() -> None:
    """28x7 patches are as many as the 14x14 of the published weights, and not the same places."""
    small: dict[str, Any] = {"embed_dim": 24, "depth": 1, "num_heads": 2, "num_classes": 0}
    published: Any = timm.create_model("vit_tiny_patch16_224", **small)
    wanted: Any = timm.create_model("vit_tiny_patch16_224", img_size=(448, 112), **small)
    found = checkpoint_filter_fn(published.state_dict(), wanted)["pos_embed"]
    assert found.shape == published.pos_embed.shape
    assert not torch.equal(found, published.pos_embed)
