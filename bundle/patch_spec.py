"""The part of the manifest about `explain.onnx`: the grid of patches and their weights."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitreid.bundle.frozen import FrozenModel

EXPLAIN = "explain.onnx"


class PatchSpec(FrozenModel):
    """The outputs of `explain.onnx`: unit patch features (B, N, dimension) and the attention to each patch, (B, N).

    Patches are ordered by rows, from the top left. Sizes are (height, width) in pixels of the graph's input; with a
    stride smaller than a patch they overlap.
    """

    rows: int = Field(gt=0)
    columns: int = Field(gt=0)
    patch_size: tuple[int, int]
    stride: tuple[int, int]
    dimension: int = Field(gt=0)
    attention: Literal["cls", "mean", "weighted"]
    """The attention that the embedding is made by: that of the class token, the mean of all patches, or the weights by
    which patches are pooled."""
    parity_images: int = Field(gt=0)
    max_abs_difference: float = Field(ge=0)
    """Of both outputs from those of the exported model, on `parity_images` images."""

    @property
    def patches(self) -> int:
        """N, the number of patches of an image."""
        return self.rows * self.columns

    def boxes(self, height: int, width: int, image: tuple[int, int]) -> NDArray[np.float64]:
        """Return the boxes of the patches in an image of this size: (N, 4) left, top, right, bottom in its pixels.

        `image` is the (height, width) to which the graph's images are resized.
        """
        rows, columns = np.divmod(np.arange(self.patches), self.columns)
        top, left = rows * self.stride[0], columns * self.stride[1]
        boxes = np.stack([left, top, left + self.patch_size[1], top + self.patch_size[0]], axis=1).astype(np.float64)
        boxes *= np.tile([width / image[1], height / image[0]], 2)
        return boxes
