"""Every recipe is one that can be trained: its network is built without memory, and its losses are taken of a batch."""

from __future__ import annotations

import pytest
import torch

from vitreid.training.config import TrainConfig, load_recipe, recipe_files
from vitreid.training.losses import LossBatch, LossSizes, TotalLoss
from vitreid.training.model import build_model
from vitreid.training.optim import SCHEDULES

NAMES = sorted(recipe_files())
BATCH = 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_builds_and_has_its_losses(name: str) -> None:
    config = load_recipe(name)
    with torch.device("meta"):
        model = build_model(config, persons=3, cameras=6, views=8, pretrained=False)
        images = torch.empty(BATCH, 3, config.model.height, config.model.width)
        label = torch.zeros(BATCH, dtype=torch.long)
        output = model(images, label, label)
    jpm = config.model.jpm
    losses = TotalLoss(config.losses, LossSizes(branches=len(output.branches)), jpm=jpm.reduction if jpm else "paper")
    values = losses(LossBatch(output.branches, label, label, output.tokens))
    assert set(values) == {*config.losses, "total"}
    assert len(output.branches) == (1 if jpm is None else 1 + jpm.parts)


GRIDS = {
    "transreid-baseline": (16, 8),
    "transreid-384": (24, 8),
    "transreid-stride12": (21, 10),
    "transreid-stride11": (22, 11),
    "transreid-stride12-384": (31, 10),
    "transreid-veri": (16, 16),
    "transreid-ssl-small-ics": (16, 8),
    "cuhk03-small": (8, 4),
    "cuhk03-small-stride": (10, 5),
    "cuhk03-fine": (16, 8),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "grid"), GRIDS.items())
def test_the_grids_of_patches(name: str, grid: tuple[int, int]) -> None:
    with torch.device("meta"):
        model = build_model(load_recipe(name), persons=3, pretrained=False)
    assert model.backbone.grid == grid


def rates(config: TrainConfig, *epochs: int) -> list[float]:
    part = config.optim
    return [
        SCHEDULES[part.schedule](
            epoch - 1,
            lr=part.lr,
            epochs=config.epochs,
            warmup_epochs=part.warmup_epochs,
            warmup_lr_ratio=part.warmup_lr_ratio,
            min_lr_ratio=part.min_lr_ratio,
            falls=part.falls,
        )
        for epoch in epochs
    ]


def test_the_published_rates() -> None:
    published = [1.664e-3, 3.248e-3, 6.416e-3, 7.966e-3, 4.008e-3, 1.737e-5, 1.6e-5]
    assert rates(load_recipe("transreid"), 1, 2, 4, 5, 60, 119, 120) == pytest.approx(published, rel=1e-3)
    falling = rates(load_recipe("bot-resnet50"), 1, 11, 40, 41, 90, 91)
    assert falling == pytest.approx([3.5e-5, 3.5e-4, 3.5e-4, 3.5e-5, 3.5e-5, 3.5e-6])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("cuhk03-small")])
def test_the_small_recipes_share_one_budget(name: str) -> None:
    """They differ in the network and in losses that are added, in nothing else."""
    config, base = load_recipe(name), load_recipe("cuhk03-small")
    assert config.model_copy(update={"model": base.model, "losses": base.losses}) == base
    assert (config.model.height, config.model.width, config.model.bnneck) == (128, 64, "after")
    assert {key: value for key, value in config.losses.items() if key in base.losses} == base.losses
    changed = (
        sum(value != getattr(base.model, key) for key, value in config.model) + len(config.losses) - len(base.losses)
    )
    assert changed <= 3
