"""Options reach timm by an allow-list, whoever wrote them: a recipe, a change on the command line, or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm

from vitreid import cli
from vitreid.training.backbones import build_cnn, build_vit
from vitreid.training.backbones.timm_models import KNOWN, OURS, published_pixels
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import TrainConfig, load_recipe, recipe_files
from vitreid.training.errors import ConfigError
from vitreid.training.model import build_model

READING: dict[str, Any] = {
    "checkpoint_path": "/tmp/weights.pth",
    "checkpoint_strict": False,
    "pretrained": True,
    "pretrained_cfg": {"file": "/tmp/weights.pth"},
    "pretrained_cfg_overlay": {"url": "http://127.0.0.1/weights.pth"},
    "pretrained_strict": False,
    "cache_dir": "/tmp",
    "features_only": True,
    "feature_cfg": {},
    "out_indices": [1],
    "kwargs_filter": ["depth"],
    "model_cfg": {},
    "scriptable": True,
    "exportable": True,
    "no_jit": True,
    "device": "meta",
    "mlp_layer": "x",
}
"""Options of timm that read files and addresses, or do something else than describe a network."""


@pytest.fixture
def no_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: Any, **__: Any) -> None:
        pytest.fail("the options reached timm")

    monkeypatch.setattr(timm, "create_model", reached)


@pytest.mark.usefixtures("no_timm")
@pytest.mark.parametrize("option", READING)
def test_options_that_describe_no_network(option: str) -> None:
    told = rf"model\.options\.{option} does not describe a network; allowed: act_layer, .*depth"
    with pytest.raises(ConfigError, match=told) as caught:
        build_vit("vit_tiny_patch16_224", size=(64, 32), options={option: READING[option]})
    assert str(caught.value).isprintable()
    with pytest.raises(ConfigError, match=told):
        build_cnn("resnet18", options={option: READING[option]})


@pytest.mark.parametrize("option", ["checkpoint_path", "pretrained_cfg_overlay"])
def test_a_checkpoint_of_somebody_else(
    config: TrainConfig, tmp_path: Path, request: pytest.FixtureRequest, option: str
) -> None:
    foreign = tmp_path / "foreign"
    save_checkpoint(foreign, build_model(config, persons=2), config, {"persons": ["a", "b"], "cameras": []})
    text = (foreign / "config.toml").read_text()
    value = '"weights.pth"' if option == "checkpoint_path" else "{ file = 'weights.pth' }"
    (foreign / "config.toml").write_text(text.replace("[model.options]", f"[model.options]\n{option} = {value}"))
    request.getfixturevalue("no_timm")
    with pytest.raises(ConfigError, match=f"{option} does not describe a network"):
        Checkpoint.open(foreign).load_model()


@pytest.mark.usefixtures("no_timm")
def test_a_change_on_the_command_line(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "starter-quick", "--data", str(people), "--out", str(tmp_path / "run")]
    change = ["--set", "model.options.checkpoint_path=weights.pth", "--set", "data.holdout_persons=0"]
    assert cli.run([*command, *change]) == 2
    assert "model.options.checkpoint_path does not describe a network" in capsys.readouterr().err


def test_the_recipes_describe_networks() -> None:
    for file in recipe_files().values():
        assert load_recipe(file.stem).model.options.keys() <= KNOWN
    assert KNOWN.isdisjoint(OURS)


def test_pixels_of_published_weights() -> None:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    assert published_pixels("vit_small_patch16_224.dino") == imagenet | {"resize": "bicubic"}
    assert published_pixels("resnet50.tv_in1k") == imagenet | {"resize": "bilinear"}
    assert published_pixels("no_such_model") == {}
