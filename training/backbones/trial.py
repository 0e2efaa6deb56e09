"""One forward pass without memory, so that a network that cannot work is refused when it is built."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vitreid.training.backbones.cnn import CNN
from vitreid.training.backbones.timm_models import UNSUITABLE
from vitreid.training.backbones.transreid import ViT
from vitreid.training.errors import ConfigError

STRIDE = 16  # of a ResNet whose last stage keeps its resolution


def check_forward(backbone: ViT | CNN, size: tuple[int, int], name: str) -> None:
    """Run a backbone on an image of `size` (height, width) on the meta device.

    Raises ConfigError where it fails, or gives another map or other features than it should.
    """
    maps = list[tuple[int, ...]]()
    height, width = size
    values = chain(backbone.named_parameters(), backbone.named_buffers())
    state = {key: torch.empty_like(value, device="meta") for key, value in values}
    last: Any = backbone.resnet.layer4 if isinstance(backbone, CNN) else nn.Identity()
    watching = last.register_forward_hook(lambda *call: maps.append(tuple(call[2].shape)))
    training = backbone.training
    try:
        with torch.no_grad():
            image = torch.empty(1, 3, height, width, device="meta")
            parts: tuple[Tensor, ...] = functional_call(backbone.eval(), state, (image,)).parts
    except UNSUITABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"model.backbone = {name!r} fails on images of {height}x{width}: {reason}; take another one"
        ) from error
    finally:
        backbone.train(training)
        watching.remove()
    expected = (1, backbone.num_features, -(-height // STRIDE), -(-width // STRIDE))
    if wrong := [shape for shape in maps if shape != expected]:
        raise ConfigError(
            f"model.backbone = {name!r} makes a map of {wrong[0][1:]} of {height}x{width}, not {expected[1:]}; "
            f"take a ResNet with a stride of {STRIDE} before its last stage's end"
        )
    if wrong := [tuple(part.shape) for part in parts if part.shape != expected[:2]]:
        raise ConfigError(f"model.backbone = {name!r} gives features {wrong[0]}, not {expected[:2]}; take another one")
