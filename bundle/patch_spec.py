"""Where the patches of an image lie, and which of them count: the manifest's part about `explain.onnx`."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vitreid.bundle.frozen import FrozenModel

EXPLAIN = "explain.onnx"


class PatchSpec(FrozenModel):
    """What `explain.onnx` gives: unit patch outputs (B, N, dimension) and how much each counts, (B, N).

    Patches come by rows, from the top left. Sizes are (height, width) in pixels of what the graph takes; with a stride
    smaller than a patch they overlap.
    """

    rows: int = Field(gt=0)
    columns: int = Field(gt=0)
    patch_size: tuple[int, int]
    stride: tuple[int, int]
    dimension: int = Field(gt=0)
    attention: Literal["cls", "mean", "weighted"]
    """Whose look at the patches is told, the one that the embedding is made by: the class token's, that of all patches
    on average, or the weights by which patches are pooled."""
    parity_images: int = Field(gt=0)
    max_abs_difference: float = Field(ge=0)
    """To the model that it was exported from, of both outputs, on so many images."""

    @property
    def patches(self) -> int:
        """N, how many patches an image has."""
        return self.rows * self.columns

    def boxes(self, height: int, width: int, image: tuple[int, int]) -> NDArray[np.float64]:
        """Where the patches lie in an image of this size: (N, 4) left, top, right, bottom in its pixels.

        `image` is the (height, width) to which the graph's images are resized.
        """
        places = np.arange(self.patches)
        top, left = places // self.columns * self.stride[0], places % self.columns * self.stride[1]
        boxes = np.stack([left, top, left + self.patch_size[1], top + self.patch_size[0]], axis=1).astype(np.float64)
        boxes *= np.tile([width / image[1], height / image[0]], 2)
        return boxes
