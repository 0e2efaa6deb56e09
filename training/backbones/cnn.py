"""ResNets for re-identification: the last stage keeps its resolution, and its map is averaged.

Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", TMM 2019, section 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models.resnet import ResNet
from torch import Tensor, nn

from training.backbones.features import Features
from training.backbones.timm_models import timm_model
from training.errors import ConfigError


class CNN(nn.Module):
    """A timm ResNet whose last stage has stride 1."""

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        last: Any = resnet.layer4
        for module in last.modules():
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                module.stride = (1, 1)
        self.resnet = resnet
        self.num_features: int = resnet.num_features

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Features:
        """Features of normalised (B, 3, H, W) pictures; it does not know cameras or views."""
        maps: Tensor = self.resnet.forward_features(images)
        return Features((maps.mean((2, 3)),))

    def positions(self) -> None:
        """It has no position embedding."""

    def biases(self) -> None:
        """It has no relative position bias."""


def build_cnn(name: str, *, pretrained: bool = False, options: Mapping[str, object] = {}) -> CNN:
    """Build a ResNet of timm, with random weights or its `pretrained` ones, downloaded.

    Raises ConfigError for a name that is no ResNet of timm and for options that it does not have.
    """
    resnet = timm_model(name, name, options=options, pretrained=pretrained, arguments={})
    if not isinstance(resnet, ResNet):
        raise ConfigError(f"model.backbone = {name!r} is no ResNet of timm; see timm.list_models('resnet*')")
    return CNN(resnet)
