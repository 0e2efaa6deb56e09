"""Number type of a training's forward pass, by recipe and device."""

from __future__ import annotations

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO = {"cuda": "fp16"}
"""By device what `auto` is, as in the published code; fp32 on all others."""
SLOWDOWN = "six times"
"""A step of ViT-B in fp16 on a CPU against fp32, see benchmarks/RESULTS.md."""


def chosen(precision: str, device: torch.device) -> str:
    """The precision itself, or what `auto` is on the device."""
    return AUTO.get(device.type, "fp32") if precision == "auto" else precision


def precision_notes(precision: str, device: torch.device) -> list[str]:
    """A line where a precision costs time instead of saving it."""
    if (precision, device.type) != ("fp16", "cpu"):
        return []
    return [f"fp16 takes about {SLOWDOWN} as long as fp32 on a CPU; start with --set precision=auto, fp32 here"]
