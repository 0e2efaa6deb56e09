"""`explain.onnx`: embeddings and attention weights of a transformer's patches, beside the bundle's model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers.hybrid_embed import HybridEmbed
from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn
from torch.nn.functional import normalize

from vitreid.bundle import Bundle, BundleRunner, PatchRunner, PatchSpec
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.bundle.run import expected_inputs, feed_of
from vitreid.export.closeness import batches, compare, sides_of
from vitreid.export.errors import ExportError, ParityError
from vitreid.export.to_onnx import OPSET
from vitreid.export.verify import MAX_ABS_DIFFERENCE, load_matching_model
from vitreid.export.writing import write_onnx
from vitreid.training.backbones import fuse_attention
from vitreid.training.backbones.attention import attention_weights
from vitreid.training.backbones.transreid import cls_patch_similarity, pool_cls, pool_cls_gem, pool_mean, pool_weighted
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.model import ReIDModel

SAME_MODEL = 0.98
"""Minimum mean corrected cosine of a bundle's and its checkpoint's embeddings: int8 has more, others far less."""


@dataclass(frozen=True)
class PatchWeighting:
    """Weights of the patches (B, N), rows with any sum, and their name.

    Computed from the last block's attention (B, 1 + N, 1 + N), the mean of its heads, and the normed tokens
    (B, 1 + N, D), both with the class token first.
    """

    name: Literal["cls", "mean", "weighted"]
    weights: Callable[[Tensor, Tensor], Tensor]


# A class token is a mean of what it attends to. If patches are averaged, the class token is not trained, and their
# average depends on what all of them attend to.
WEIGHTINGS: dict[Callable[[Tensor], Tensor], PatchWeighting] = {
    pool_cls: PatchWeighting("cls", lambda attention, tokens: attention[:, 0, 1:]),
    pool_cls_gem: PatchWeighting("cls", lambda attention, tokens: attention[:, 0, 1:]),
    pool_mean: PatchWeighting("mean", lambda attention, tokens: attention[:, 1:, 1:].mean(1)),
    pool_weighted: PatchWeighting("weighted", lambda attention, tokens: cls_patch_similarity(tokens)),
}
"""By the pooling of a model: the weights with which patches enter its embedding."""


class PatchGraph(nn.Module):
    """uint8 (B, H, W, 3) images to unit patches (B, N, D) after the final norm, and attention (B, N), rows of sum 1.

    Raises ExportError for a network without patches.
    """

    def __init__(self, model: ReIDModel) -> None:
        super().__init__()
        if model.backbone.grid is None:
            raise ExportError("a ResNet has no patches to explain; take a checkpoint of a transformer")
        fuse_attention(model, False)  # the exporter cannot take a fused attention with a bias apart
        self.model = model.eval()
        self.vit = cast("Any", model.backbone)
        self.weighting = WEIGHTINGS[self.vit.pooling]

    def forward(
        self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return patches and weights of a batch."""
        last = self.vit.blocks[-1]
        before = self.vit.forward_to_last_block(self.model.normalise(images), camera, view)  # (B, 1 + N, D)
        tokens = self.vit.norm(last(before))
        attention = attention_weights(last.attn, last.norm1(before)).mean(1)  # (B, 1 + N, 1 + N), mean of the heads
        weights = self.weighting.weights(attention, tokens)
        return normalize(tokens[:, 1:], dim=2), weights / weights.sum(1, keepdim=True)


def add_explain_graph(bundle: Bundle, checkpoint: Checkpoint, images: NDArray[np.uint8]) -> Bundle:
    """Add `explain.onnx` to a bundle, from the checkpoint that it was exported from; its bundle_id stays.

    Added only if it agrees with torch on `images` (N, H, W, 3). Raises ExportError for a network without patches,
    ParityError if the graphs differ or the bundle is of another model.
    """
    model = load_matching_model(bundle, checkpoint)
    graph = PatchGraph(model)
    _check_same_model(bundle, model, images)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / EXPLAIN
        write_explain_graph(graph, bundle, file)
        spec = partial(patch_spec_of, graph, parity_images=len(images))
        draft = Bundle(Path(folder), bundle.manifest.model_copy(update={"explain": spec(difference=0.0)}))
        difference = difference_of(draft, graph, images)
        if not difference <= MAX_ABS_DIFFERENCE:  # a NaN compares false
            raise ParityError(
                f"{EXPLAIN} differs from torch on {len(images)} images by {difference:.2e} (at most "
                f"{MAX_ABS_DIFFERENCE:.0e} allowed), so it was not added"
            )
        return bundle.extend({EXPLAIN: file}, explain=spec(difference=difference))


def write_explain_graph(graph: PatchGraph, bundle: Bundle, file: Path) -> None:
    """Write the graph with its weights inside: inputs as the bundle's model, outputs `patches` and `attention`."""
    image = bundle.manifest.image
    example = feed_of(expected_inputs(bundle.manifest), np.zeros((2, image.height, image.width, 3), np.uint8))
    inputs = {name: torch.from_numpy(value) for name, value in example.items()}
    write_onnx(graph, inputs, ["patches", "attention"], file, opset=OPSET)


def _check_same_model(bundle: Bundle, model: ReIDModel, images: NDArray[np.uint8]) -> None:
    with torch.inference_mode():
        expected = model.embed(torch.from_numpy(images)).numpy()
    found = BundleRunner(bundle).run(images)
    cosine = compare(found, expected, bundle.manifest.precision).mean_corrected_cosine or 0.0
    if cosine < SAME_MODEL:
        raise ParityError(
            f"{bundle.path} is not of this checkpoint: their embeddings have a mean corrected cosine of {cosine:.3f} "
            f"(at least {SAME_MODEL} needed); give the checkpoint that it was exported from"
        )


def difference_of(bundle: Bundle, graph: PatchGraph, images: NDArray[np.uint8]) -> float:
    """Return the largest difference of bundle and torch, on batches of several sizes and all cameras and views."""
    runner = PatchRunner(bundle)
    cameras, views = sides_of(bundle.manifest, len(images))
    largest = 0.0
    for rows in batches(len(images)):
        seen = images[rows], cameras[rows], views[rows]
        with torch.inference_mode():
            expected = graph(*map(torch.from_numpy, seen))
        for found, wanted in zip(runner.run(*seen), expected, strict=True):
            largest = float(np.maximum(largest, np.abs(found - wanted.numpy()).max()))  # max() would drop a NaN
    return largest


def patch_spec_of(graph: PatchGraph, *, parity_images: int, difference: float) -> PatchSpec:
    """Return the graph's entry in the manifest."""
    vit = graph.vit
    patch, stride = _steps(vit.patch_embed)
    rows, columns = vit.grid
    return PatchSpec(
        rows=rows,
        columns=columns,
        patch_size=patch,
        stride=stride,
        dimension=vit.num_features,
        attention=graph.weighting.name,
        parity_images=parity_images,
        max_abs_difference=difference,
    )


def _steps(stem: nn.Module) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sizes of a patch and of the step to the next, each (height, width) in pixels."""
    found: Any = stem
    if isinstance(stem, HybridEmbed):
        return found.feature_ratio, found.feature_ratio
    return found.patch_size, found.proj.stride if isinstance(stem, PatchEmbed) else found.patch_size
