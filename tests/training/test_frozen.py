"""Frozen parts do not change: weights, batch statistics, and outputs in training mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vitreid.training.config import parse_config
from vitreid.training.datasets import read_dataset
from vitreid.training.errors import ConfigError
from vitreid.training.loop import Trainer
from vitreid.training.model import build_model
from vitreid.training.pretrained.load import random_beside_timm
from vitreid.training.reid_task import ReIDTask, reid_trainer
from vitreid.training.task import Progress

VIT = """
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 3, num_heads = 2, drop_path_rate = 0.5, proj_drop_rate = 0.5, pos_drop_rate = 0.5 }
stem = "conv"
"""
RESNET = 'backbone = "resnet18"\noptions = { layers = [1, 1, 1, 1], drop_path_rate = 0.5 }'


class Silent:
    def step(self, progress: Progress) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def trainer(people: Path, model: str, optim: str) -> Trainer[ReIDTask]:
    text = f"""
epochs = 2
[model]
{model}
height = 64
width = 32
[data]
identities_per_batch = 4
images_per_identity = 2
workers = 0
[optim]
name = "adamw"
lr = 1e-2
weight_decay = 0.5
decay_bias_and_norm = true
warmup_epochs = 0
ema = 0.5
{optim}
"""
    return reid_trainer(
        parse_config(text, (), "test"), read_dataset("market1501", people), "people", torch.device("cpu")
    )


def frozen(run: Trainer[ReIDTask]) -> dict[str, torch.Tensor]:
    """All values of the backbone that should not move: with frozen blocks, those up to the first two."""
    learning = ("blocks.2.", "norm.", "jpm.") if run.config.optim.frozen_blocks else ()
    values = run.task.network.backbone.state_dict()
    return {name: value.clone() for name, value in values.items() if not name.startswith(learning or ("-",))}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "optim"),
    [(RESNET, "backbone_lr_mult = 0"), (VIT, "backbone_lr_mult = 0"), (VIT, "frozen_blocks = 2")],
    ids=["resnet", "vit", "blocks"],
)
def test_training_does_not_move_what_is_frozen(people: Path, tmp_path: Path, model: str, optim: str) -> None:
    run = trainer(people, model, optim)
    before, necks = frozen(run), {name: value.clone() for name, value in run.task.network.necks.state_dict().items()}
    run.run(tmp_path / "run", Silent())
    for shown in (run.task.network, run.network):
        after = shown.backbone.state_dict()
        for name, value in before.items():
            torch.testing.assert_close(after[name], value, rtol=0, atol=0, msg=name)
    learned = run.task.network.necks.state_dict()
    assert not torch.equal(learned["0.norm.running_mean"], necks["0.norm.running_mean"])
    assert not torch.equal(learned["0.classifier.weight"], necks["0.classifier.weight"])
    assert not learned["0.norm.bias"].any()  # which stays 0 although all is decayed


def test_frozen_parts_give_the_same_twice_in_training_mode(people: Path) -> None:
    run = trainer(people, VIT, "frozen_blocks = 2")
    run.task.network.train()
    run.task.network.backbone.blocks[2].eval()  # the part that learns, with masks of its own
    images = torch.randn(4, 3, 64, 32)
    first, second = (run.task.network.backbone(images).global_feature for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    run.task.network.train()
    assert run.task.network.backbone.blocks[2].training
    assert not torch.equal(run.task.network.backbone(images).global_feature, first)


SIDE = VIT + 'sie = "camera"'


@pytest.mark.parametrize("optim", ["backbone_lr_mult = 0", "frozen_blocks = 2"])
def test_side_information_learns_beside_what_is_frozen(people: Path, tmp_path: Path, optim: str) -> None:
    """It is made anew for the training cameras, so nothing else would ever give it a value."""
    run = trainer(people, SIDE, optim)
    side = run.task.network.backbone.sie
    before, rest = side.sie_embed.detach().clone(), {n: v for n, v in frozen(run).items() if not n.startswith("sie.")}
    run.run(tmp_path / "run", Silent())
    assert (side.sie_embed - before).abs().min() > 0
    assert all(torch.equal(run.task.network.backbone.state_dict()[name], value) for name, value in rest.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "optim", "told"),
    [
        ('relative = "bias"', "backbone_lr_mult = 0", "relative_bias would stay at random values, since {} has none"),
        ('position = "2d"', "frozen_blocks = 1", "backbone.position would stay at random values"),
    ],
)
def test_nothing_new_is_frozen_at_random_values(
    people: Path, tmp_path: Path, model: str, optim: str, told: str
) -> None:
    trainer(people, VIT, "").run(tmp_path / "start", Silent())
    start = f'weights = "{tmp_path / "start"}"\n'
    with pytest.raises(ConfigError, match=told.format(tmp_path / "start") + ".*remove those settings"):
        trainer(people, VIT + start + model, optim)
    run = trainer(people, VIT + start + model, "")
    run.run(tmp_path / "run", Silent())
    resumed = trainer(people, VIT + start + model, "")
    resumed.resume(tmp_path / "run")


@pytest.mark.parametrize("optim", ["backbone_lr_mult = 0", "frozen_blocks = 2"])
def test_a_backbone_that_is_frozen_at_random_values_is_noted(people: Path, optim: str) -> None:
    [note] = trainer(people, VIT, optim).task.notes
    assert note.startswith("what is frozen of the backbone stays at random values, since model.weights is 'random'; ")
    assert trainer(people, VIT, "").task.notes == []


def test_what_timm_has_no_values_for() -> None:
    text = """
    [model]
    relative = "bias"
    sie = "camera"
    position_at = "every"
    options = { depth = 2, embed_dim = 24, num_heads = 2 }
    """
    model = build_model(parse_config(text, (), "test"), persons=2, cameras=2)
    found = {name for name in random_beside_timm(model) if not name.startswith("necks.")}
    assert found == {
        "backbone.sie.sie_embed",
        "backbone.position.embeddings.1.pos_embed",
        "backbone.blocks.0.attn.relative_bias",
        "backbone.blocks.1.attn.relative_bias",
    }
