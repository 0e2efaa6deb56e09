"""Networks of timm by name, with the options that a recipe may set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import nn

from vitreid.training.errors import ConfigError

OURS = {
    "global_pool": "use model.pool",
    "img_size": "use model.height and model.width",
    "pos_embed": "use model.position",
    "embed_layer": "use model.stem",
    "in_chans": "images have three channels",
    "num_classes": "the training data give the number of persons",
    "drop_rate": "it is for timm's classifier, which is not used",
    "patch_drop_rate": "all patches are used",
}
"""Options of timm that a recipe sets otherwise, and how."""

KNOWN = frozenset(
    {
        *("patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "qk_norm", "proj_bias"),
        *("scale_attn_norm", "scale_mlp_norm", "init_values", "pre_norm", "final_norm", "fc_norm", "no_embed_class"),
        *("class_token", "reg_tokens", "pos_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"),
        *("weight_init", "fix_init", "norm_layer", "act_layer", "attn_layer", "layers", "channels", "cardinality"),
        *("base_width", "stem_width", "stem_type", "replace_stem_pool", "block_reduce_first", "down_kernel_size"),
        *("avg_down", "output_stride", "drop_block_rate", "zero_init_last", "block_args"),
    }
)
"""Options that describe a network. Others of timm read files and addresses, which a recipe, or the config.toml of
somebody else's checkpoint, must not reach."""

RESIZES = ("bicubic", "bilinear")

UNSUITABLE = (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, LookupError, ArithmeticError)
"""Errors of timm's constructors for options that do not fit; few are checked there."""


def timm_model(
    name: str, described: str, *, options: Mapping[str, object], pretrained: bool, arguments: Mapping[str, Any]
) -> nn.Module:
    """Build a network without a classifier; `described` names it in errors, `arguments` win over `options`.

    Raises ConfigError for an option that is not KNOWN, if timm cannot build the network, and if its `pretrained`
    weights cannot be downloaded.
    """
    if taken := sorted(options.keys() & OURS.keys()):
        raise ConfigError(f"model.options.{taken[0]} is not an option here; {OURS[taken[0]]}")
    if unknown := sorted(options.keys() - KNOWN):
        raise ConfigError(
            f"model.options.{unknown[0]} does not describe a network; allowed: {', '.join(sorted(KNOWN))}"
        )
    for option, rate in options.items():  # timm notices at the first step, if at all
        if option.endswith("_rate") and not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise ConfigError(f"model.options.{option} = {rate!r} is not a share; give a number from 0 to below 1")
    try:
        built: nn.Module = timm.create_model(name, pretrained=pretrained, **{**options, **arguments, "num_classes": 0})
    except UNSUITABLE as error:
        raise ConfigError(f"model: timm cannot build {described}: {' '.join(str(error).split())}") from error
    except OSError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"timm's weights for {name} cannot be downloaded ({reason}); "
            "download the file elsewhere and use --set model.weights=FILE"
        ) from error
    return built


def published_pixels(name: str) -> dict[str, Any]:
    """Return the `mean`, `std` and `resize` of timm's weights of a network, if recipes can have them."""
    published = get_pretrained_cfg(name)
    if published is None:
        return {}
    found = {"mean": tuple(published.mean), "std": tuple(published.std)}
    return found | ({"resize": published.interpolation} if published.interpolation in RESIZES else {})
