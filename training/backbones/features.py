"""What a backbone makes of images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Features of B images.

    `parts` holds (B, D) each: the image as a whole first, then its local parts, if any. Transformers also give
    `cls` (B, D) and `patches` (B, N, D), both after the final norm.
    """

    parts: tuple[Tensor, ...]
    cls: Tensor | None = None
    patches: Tensor | None = None
