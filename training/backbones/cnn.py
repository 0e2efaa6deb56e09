"""ResNets for re-identification: the last stage has stride 1, and its map is averaged.

Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", TMM 2019, section 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.layers.blur_pool import BlurPool2d
from timm.models.resnet import ResNet
from torch import Tensor, nn

from vitreid.training.backbones.protocol import Backbone, Features
from vitreid.training.backbones.timm_models import timm_model
from vitreid.training.errors import ConfigError


class CNN(Backbone):
    """A timm ResNet whose last stage has stride 1."""

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        last: Any = resnet.layer4
        _remove_stride(last[0])
        self.resnet = resnet
        self.num_features: int = resnet.num_features

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Features:
        """Return the features of normalised (B, 3, H, W) images; cameras and views make no difference."""
        maps: Tensor = self.resnet.forward_features(images)  # (B, D, H / 16, W / 16)
        return Features(maps.mean((2, 3)))

    def final_map(self) -> nn.Module:
        """Return the last stage."""
        resnet: Any = self.resnet
        stage: nn.Module = resnet.layer4
        return stage


def build_cnn(name: str, *, pretrained: bool = False, options: Mapping[str, object] = {}) -> CNN:
    """Build a ResNet of timm, with random weights or its `pretrained` ones, downloaded.

    Raises ConfigError for a name that is not a ResNet of timm and for options that it does not have.
    """
    resnet = timm_model(name, name, options=options, pretrained=pretrained, arguments={})
    if not isinstance(resnet, ResNet):
        raise ConfigError(
            f"model.backbone = {name!r} is not a ResNet of timm but its {type(resnet).__name__}; take a vit_* or "
            "deit_*, or a ResNet such as resnet50, resnet50d, resnext50_32x4d or seresnet50"
        )
    if not hasattr(resnet, "layer4"):
        raise ConfigError(f"model.options.layers of {name} must be four numbers of blocks, one per stage")
    return CNN(resnet)


def _remove_stride(block: Any) -> None:
    """Set the stride of a stage's first block to 1 in all layers that have one."""
    for parent in list(block.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BlurPool2d) or (isinstance(layer, nn.AvgPool2d) and layer.kernel_size == layer.stride):
                setattr(parent, name, nn.Identity())  # it only halves
            elif isinstance(layer, nn.Conv2d | nn.AvgPool2d):
                layer.stride = (1, 1)
