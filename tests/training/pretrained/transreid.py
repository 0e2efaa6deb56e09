"""A model of ours as TransReID saves its own."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreid.training.model import ReIDModel


def as_transreid(model: ReIDModel) -> dict[str, Tensor]:
    """The state of a model of two blocks under TransReID's names, with the block and norm that it never uses."""
    found = {}
    for name, tensor in model.state_dict().items():
        plain = name.removeprefix("backbone.").replace("position.embeddings.0.", "").replace("sie.sie_", "sie_")
        for ours, theirs in (("jpm.block.", "b2.0."), ("jpm.norm.", "b2.1."), ("blocks.1.", "b1.0.")):
            plain = plain.replace(ours, theirs)
        plain = plain.replace("norm.", "b1.1.", 1) if plain.startswith("norm.") else plain
        if name.startswith("necks."):
            number, part, rest = plain.removeprefix("necks.").split(".", 2)
            part = {"norm": "bottleneck", "classifier": "classifier"}[part] + ("" if number == "0" else f"_{number}")
            found[f"{part}.{rest}"] = tensor
        else:
            found[plain if plain.startswith("b") and plain[1].isdigit() else f"base.{plain}"] = tensor
        if ".blocks.1." in name:
            found[f"base.{name.removeprefix('backbone.')}"] = torch.zeros_like(tensor)
    return found | {"base.norm.weight": torch.zeros(64), "base.norm.bias": torch.zeros(64)}
