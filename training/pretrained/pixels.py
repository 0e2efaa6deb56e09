"""Normalisation and resizing that timm's weights were trained with."""

from __future__ import annotations

from typing import Any

from vitreid.training.backbones.timm_models import published_pixels
from vitreid.training.config import TrainConfig


def with_published_pixels(config: TrainConfig) -> tuple[TrainConfig, list[str]]:
    """Return the recipe with the mean, deviation and resize of timm's weights if it starts from them and sets none.

    Also returns notes on what was taken, and on what the recipe sets otherwise.
    """
    part = config.model
    if part.weights != "timm":
        return config, []
    published = published_pixels(part.backbone)
    taken = {name: value for name, value in published.items() if name not in part.model_fields_set}
    other = {name: value for name, value in published.items() if name not in taken and getattr(part, name) != value}
    whose = f"timm's weights for {part.backbone}"
    notes = [f"from {whose}: {_listed(taken)}"] if taken else []
    notes += [
        f"the recipe sets {_listed({name: getattr(part, name)})}, {whose} {_listed({name: other[name]})}"
        for name in other
    ]
    return config.model_copy(update={"model": part.model_copy(update=taken)}), notes


def _listed(values: dict[str, Any]) -> str:
    shown = {name: " ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in values.items()}
    return ", ".join(f"model.{name} {value}" for name, value in shown.items())
