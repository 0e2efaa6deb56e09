"""The interface of backbones: what a model, its training and its export need of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from vitreid.training.errors import ConfigError


@dataclass(frozen=True)
class Features:
    """Features of B images.

    `global_feature` (B, D) shows the whole image, `local_features` (B, D) each one part of it. Transformers also return
    `cls` (B, D) and `patches` (B, N, D), both after the final norm.
    """

    global_feature: Tensor
    local_features: tuple[Tensor, ...] = ()
    cls: Tensor | None = None
    patches: Tensor | None = None

    @property
    def all(self) -> tuple[Tensor, ...]:
        """The global feature, then the local ones."""
        return (self.global_feature, *self.local_features)


class Backbone(nn.Module):
    """A network that turns images into features.

    A subclass sets `num_features` and defines `forward`. A transformer also sets its `grid` (rows, columns) of patches
    and its `num_heads`, and overrides the methods below, whose defaults are right for a network without patches.
    """

    num_features: int
    grid: tuple[int, int] | None = None
    num_heads: int | None = None

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Features:
        """Return the features of normalised (B, 3, H, W) images; camera and view (B,), -1 or None = unknown."""
        raise NotImplementedError

    def positions(self) -> Tensor | None:
        """Return the absolute position embedding of the patches (N, D)."""
        return None

    def biases(self) -> Tensor | None:
        """Return the relative position bias of all heads of all blocks (layers x heads, N, N)."""
        return None

    def side_information(self) -> nn.Module | None:
        """Return the module that holds the embeddings of cameras and views."""
        return None

    def known_sides(self) -> tuple[int, int]:
        """Return the numbers of cameras and of views that have embeddings of their own; 1 or fewer: they have none."""
        return 0, 0

    def split_at(self, blocks: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the modules up to this number of blocks, and those after them.

        Raises ConfigError if there are fewer blocks.
        """
        raise ConfigError(f"optim.frozen_blocks = {blocks}, but the backbone has 0 blocks; freeze fewer")

    def copied_weights(self) -> Mapping[str, str]:
        """Return by prefix of parameter names the prefix of their copies, which start with the same values."""
        return {}

    def final_map(self) -> nn.Module | None:
        """Return the module whose output (B, num_features, H / 16, W / 16) is pooled; None without such a map."""
        return None
