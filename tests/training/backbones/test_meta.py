"""Every network of timm either works at this project's sizes or is refused in one line when it is built."""

from __future__ import annotations

import pytest
import torch

from vitreid.training.config import parse_config
from vitreid.training.errors import ConfigError
from vitreid.training.model import ReIDModel, build_model

# One of each way in which timm's ResNets halve a map: convolution, mean, blur, both; in block, shortcut and stem.
RESNETS = (
    "resnet18", "resnet10t", "resnet26d", "resnet50s", "resnetaa34d", "resnetaa50", "resnetaa50d", "resnetblur18",
    "resnetblur50", "resnetblur50d", "resnetrs50", "resnext50_32x4d", "seresnet50", "seresnetaa50d", "ecaresnet26t",
    "wide_resnet50_2", "res2net50_26w_4s", "resnest14d", "skresnet18",
)  # fmt: skip


def built(backbone: str, options: str = "{}", height: int = 96, width: int = 64) -> ReIDModel:
    text = f'[model]\nbackbone = "{backbone}"\noptions = {options}\nheight = {height}\nwidth = {width}'
    with torch.device("meta"):
        return build_model(parse_config(text, (), "test"), persons=3, pretrained=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", RESNETS)
def test_the_last_stage_of_a_resnet_keeps_its_resolution(name: str) -> None:
    model = built(name, "{ layers = [1, 1, 1, 2] }")
    with torch.device("meta"):
        maps = model.backbone.resnet.forward_features(torch.empty(2, 3, 96, 64))
    assert maps.shape == (2, model.dimension, 6, 4)


@pytest.mark.parametrize("name", ["resnet18d", "resnetaa50d", "resnetblur18"])
def test_a_network_of_real_numbers_is_the_same_after_the_trial(name: str) -> None:
    text = f'[model]\nbackbone = "{name}"\noptions = {{ layers = [1, 1, 1, 1] }}\nheight = 64\nwidth = 32'
    model = build_model(parse_config(text, (), "test"), persons=3, pretrained=False)
    assert model.training
    assert all(value.device.type == "cpu" for value in model.state_dict().values())
    assert not any(layer._forward_hooks for layer in model.modules())
    parts = model(torch.randn(2, 3, 64, 32)).branches
    assert parts[0].features.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_base_patch16_18x2_224", "has blocks of the class ParallelThingsBlock"),
        ("vit_intern300m_patch14_448", r"fails on images of 96x64: .*divisible by patch size \(14\)"),
        ("vit_so150m2_patch16_reg1_gap_256", "has no single class token with a position"),
        ("deit3_small_patch16_224", "has no single class token with a position"),
        ("resnetv2_50", "is not a ResNet of timm but its ResNetV2; take .* such as resnet50, resnet50d"),
        ("swin_tiny_patch4_window7_224", "is not a ResNet of timm but its SwinTransformer"),
    ],
)
def test_what_does_not_work_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        built(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{ layers = [1, 1, 1] }", "options.layers of resnet18 must be four numbers"),
        ("{ output_stride = 8 }", r"makes a map of \(512, 12, 8\) of 96x64, not \(512, 6, 4\)"),
    ],
)
def test_options_that_make_another_map_are_refused(options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built("resnet18", options)
