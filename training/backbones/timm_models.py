"""timm's networks as a recipe asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from torch import nn

from training.errors import ConfigError

OURS = {
    "global_pool": "say model.pool",
    "img_size": "say model.height and model.width",
    "pos_embed": "say model.position",
    "embed_layer": "say model.stem",
    "in_chans": "pictures have three channels",
    "num_classes": "the training data tell the persons",
    "drop_rate": "it is for timm's classifier, which is not used",
    "patch_drop_rate": "all patches are used",
}
"""Options of timm whose place is taken, and by what."""

UNSUITABLE = (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, LookupError, ArithmeticError)
"""What timm's constructors raise for options that they cannot use; they check few of them."""


def timm_model(
    name: str, told: str, *, options: Mapping[str, object], pretrained: bool, arguments: Mapping[str, Any]
) -> nn.Module:
    """Build a network without a classifier; `told` is what an error calls it, `arguments` win over `options`.

    Raises ConfigError where timm does not know it so, or cannot download its `pretrained` weights.
    """
    if taken := sorted(options.keys() & OURS.keys()):
        raise ConfigError(f"model.options.{taken[0]} is not for timm here; {OURS[taken[0]]}")
    for option, rate in options.items():  # timm finds out at the first step, if at all
        if option.endswith("_rate") and not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise ConfigError(f"model.options.{option} = {rate!r} is no share; give a number from 0 to below 1")
    try:
        built: nn.Module = timm.create_model(name, pretrained=pretrained, **{**options, **arguments, "num_classes": 0})
    except UNSUITABLE as error:
        raise ConfigError(f"model: timm cannot build {told}: {' '.join(str(error).split())}") from error
    except OSError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"the weights that timm knows for {name} cannot be downloaded ({reason}); "
            "download a file of them elsewhere and say --set model.weights=FILE"
        ) from error
    return built
