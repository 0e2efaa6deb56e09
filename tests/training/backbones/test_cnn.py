from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from vitreid.training.backbones import build_cnn
from vitreid.training.errors import ConfigError


def test_the_last_stage_keeps_its_resolution() -> None:
    cnn = build_cnn("resnet50").eval()
    images = torch.randn(1, 3, 64, 32)
    maps = cnn.resnet.forward_features(images)
    assert maps.shape == (1, 2048, 4, 2)  # a sixteenth, not a thirty-second
    seen = cnn(images)
    torch.testing.assert_close(seen.global_feature, maps.mean((2, 3)))
    assert seen.patches is None


def test_small_blocks_too() -> None:
    cnn = build_cnn("resnet18", options={"base_width": 64}).eval()
    assert cnn(torch.randn(2, 3, 64, 32)).global_feature.shape == (2, 512)
    assert cnn.resnet.forward_features(torch.randn(1, 3, 64, 32)).shape[2:] == (4, 2)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("resnext_imaginary", {}, "cannot build"),
        ("vit_tiny_patch16_224", {}, "not a ResNet"),
        ("resnet18", {"options": {"dept": 3}}, "options.dept does not describe a network"),
        ("resnet18", {"options": {"num_classes": 3}}, "num_classes is not an option here; the training data give"),
    ],
)
def test_what_cannot_be_built(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_cnn(name, **values)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no route\nto host"), r"cannot be downloaded \(no route\); .*model.weights=FILE"),
        (RuntimeError("none published"), "timm cannot build resnet18: none published"),
    ],
)
def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    def failing(*_: Any, **values: Any) -> None:
        assert values["pretrained"] is True
        raise error

    monkeypatch.setattr(timm, "create_model", failing)
    with pytest.raises(ConfigError, match=message):
        build_cnn("resnet18", pretrained=True)
