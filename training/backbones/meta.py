"""A forward pass on the meta device, so that a network that cannot work is refused when it is built."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.func import functional_call

from vitreid.training.backbones.protocol import Backbone, Features
from vitreid.training.backbones.timm_models import UNSUITABLE
from vitreid.training.errors import ConfigError

STRIDE = 16  # of a ResNet whose last stage has stride 1


def check_forward(backbone: Backbone, size: tuple[int, int], name: str) -> None:
    """Run a backbone on an image of `size` (height, width) on the meta device.

    Raises ConfigError if it fails or returns another map or other features than expected.
    """
    maps = list[tuple[int, ...]]()
    height, width = size
    watched = (backbone.final_map() or nn.Identity()).register_forward_hook(
        lambda *call: maps.append(tuple(call[2].shape))
    )
    training = backbone.training
    try:
        features = _run_on_meta(backbone, height, width)
    except UNSUITABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"model.backbone = {name!r} fails on images of {height}x{width}: {reason}; take another one"
        ) from error
    finally:
        backbone.train(training)
        watched.remove()
    expected = (1, backbone.num_features, -(-height // STRIDE), -(-width // STRIDE))
    if wrong := [shape for shape in maps if shape != expected]:
        raise ConfigError(
            f"model.backbone = {name!r} makes a map of {wrong[0][1:]} of {height}x{width}, not {expected[1:]}; "
            f"take a ResNet with a stride of {STRIDE} before its last stage's end"
        )
    if wrong := [tuple(each.shape) for each in features.all if each.shape != expected[:2]]:
        raise ConfigError(
            f"model.backbone = {name!r} returns features {wrong[0]}, not {expected[:2]}; take another one"
        )


def _run_on_meta(backbone: Backbone, height: int, width: int) -> Features:
    values = chain(backbone.named_parameters(), backbone.named_buffers())
    state = {key: torch.empty_like(value, device="meta") for key, value in values}
    with torch.no_grad():
        image = torch.empty(1, 3, height, width, device="meta")
        features: Features = functional_call(backbone.eval(), state, (image,))
    return features
