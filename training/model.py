"""The network: a backbone and a BNNeck for each of its features.

Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", TMM 2019: the triplet
loss works before a batch normalisation without bias, the identity loss after it, through a classifier without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from vitreid.training.backbones import CNN, Features, ViT


@dataclass(frozen=True)
class Branch:
    """One feature of B images: `features` (B, D) before the BNNeck, `bn_features` (B, D) and `logits` (B, P) after it.

    `class_weights` (P, D) are the classifier's rows, one a training person.
    """

    features: Tensor
    bn_features: Tensor
    logits: Tensor
    class_weights: Tensor


@dataclass(frozen=True)
class Tokens:
    """What a transformer knows beside its features, for the losses that look at patches.

    `cls` (B, D) and `patches` (B, N, D) after the final norm; `positions` (N, D) and `biases` (maps, N, N) are the
    absolute position embedding and the relative biases of all heads, where the network has them.
    """

    cls: Tensor
    patches: Tensor
    positions: Tensor | None
    biases: Tensor | None


@dataclass(frozen=True)
class ReIDOutput:
    """What the losses need: a branch for the whole image, then one a local part; tokens of a transformer."""

    branches: tuple[Branch, ...]
    tokens: Tokens | None


class BNNeck(nn.Module):
    """Batch normalisation whose bias stays 0, so that both losses share one origin, and a classifier without bias."""

    def __init__(self, dimension: int, persons: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dimension)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(dimension, persons, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: Tensor) -> Branch:
        """Features (B, D) centred and scaled, and their logits."""
        bn_features = self.norm(features)
        return Branch(features, bn_features, self.classifier(bn_features), self.classifier.weight)


class ReIDModel(nn.Module):
    """Images to features and logits for the losses, or to unit embeddings for retrieval.

    `parts` is how many features the backbone gives, `bnneck` the side on which embeddings are taken. The modules in
    `frozen` stay in evaluation mode while the others train.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: ViT | CNN,
        *,
        persons: int,
        parts: int = 1,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        bnneck: Literal["before", "after"] = "before",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.necks = nn.ModuleList(BNNeck(backbone.num_features, persons) for _ in range(parts))
        self.bnneck = bnneck
        self.frozen: tuple[nn.Module, ...] = ()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @property
    def dimension(self) -> int:
        """Length of an embedding: all features one after the other."""
        return self.backbone.num_features * len(self.necks)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; a frozen part's statistics do not move and nothing of it is dropped."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> ReIDOutput:
        """Features and logits of normalised (B, 3, H, W) images; camera and view (B,), -1 or left out = unknown."""
        return self.output(self.backbone(images, camera, view))

    def output(self, seen: Features) -> ReIDOutput:
        """What the losses need of the backbone's features."""
        branches = tuple(neck(part) for neck, part in zip(self.necks, seen.parts, strict=True))
        if seen.cls is None or seen.patches is None:
            return ReIDOutput(branches, None)
        return ReIDOutput(branches, Tokens(seen.cls, seen.patches, self.backbone.positions(), self.backbone.biases()))

    def embed(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Unit embeddings (B, dimension) of uint8 (B, H, W, 3) images, as the exported graph computes them.

        Cameras and views as in `forward`.
        """
        return self.concat_features(self.backbone(self.normalised(images), camera, view).parts)

    def concat_features(self, parts: tuple[Tensor, ...]) -> Tensor:
        """Unit embeddings (B, dimension) of the backbone's features (B, D).

        The whole image's feature, then the local ones divided by their number (He et al., "TransReID", ICCV 2021).
        """
        if self.bnneck == "after":
            parts = tuple(neck.norm(part) for neck, part in zip(self.necks, parts, strict=True))  # type: ignore[operator]  # a BNNeck's norm
        local = [part / (len(parts) - 1) for part in parts[1:]]
        return normalize(torch.cat([parts[0], *local], dim=1), dim=1)

    def normalised(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) images as the backbone takes them, (B, 3, H, W)."""
        pixels = images.float().permute(0, 3, 1, 2) / 255  # cast first: onnxruntime has no uint8 transpose kernel
        return (pixels - self.mean) / self.std
