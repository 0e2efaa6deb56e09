"""Number type of a training's forward pass, by recipe and device."""

from __future__ import annotations

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO = {"cuda": "fp16"}
"""By device what `auto` is, as in the published code; fp32 on all others."""
SLOWDOWNS = {"fp16": "ten times", "bf16": "six times"}
"""A step of ViT-S on a CPU that does not compute in this type, against fp32, see benchmarks/RESULTS.md."""


def chosen(precision: str, device: torch.device) -> str:
    """The precision itself, or what `auto` is on the device."""
    return AUTO.get(device.type, "fp32") if precision == "auto" else precision


def precision_notes(precision: str, device: torch.device, *, bf16: bool | None = None) -> list[str]:
    """A line where a precision costs time instead of saving it; `bf16` says whether the CPU has products of that."""
    able = (torch.cpu._is_avx512_bf16_supported() if bf16 is None else bf16) and precision == "bf16"
    if device.type != "cpu" or precision not in SLOWDOWNS or able:
        return []
    slowdown = SLOWDOWNS[precision]
    return [
        f"{precision} takes about {slowdown} as long as fp32 on this CPU; start with --set precision=auto, fp32 here"
    ]
