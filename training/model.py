"""The network: a backbone and the BNNeck.

Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", TMM 2019: the triplet
loss works before a batch normalisation without bias, the identity loss after it, through a classifier without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


@dataclass(frozen=True)
class ReIDOutput:
    """What the losses need: features (B, D) before the BNNeck, after it `centred` (B, D) and logits (B, persons)."""

    features: Tensor
    centred: Tensor
    logits: Tensor


class BNNeck(nn.Module):
    """Batch normalisation whose bias stays 0, so that both losses share one origin, and a classifier without bias."""

    def __init__(self, dimension: int, persons: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dimension)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(dimension, persons, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) centred and scaled, and their logits (B, persons)."""
        centred = self.norm(features)
        return centred, self.classifier(centred)


class ReIDModel(nn.Module):
    """Pictures to features and logits for the losses, or to unit embeddings for retrieval.

    `backbone` maps normalised (B, 3, H, W) to (B, dimension). `bnneck` is the side on which embeddings are taken.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        dimension: int,
        persons: int,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        bnneck: Literal["before", "after"] = "before",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = BNNeck(dimension, persons)
        self.bnneck = bnneck
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> ReIDOutput:
        """Features and logits of normalised (B, 3, H, W) pictures."""
        features = self.backbone(images)
        return ReIDOutput(features, *self.neck(features))

    def embed(self, images: Tensor) -> Tensor:
        """Unit embeddings (B, D) of uint8 (B, H, W, 3) pictures, as the exported graph computes them."""
        pixels = images.float().permute(0, 3, 1, 2) / 255  # cast first: onnxruntime has no uint8 transpose kernel
        features = self.backbone((pixels - self.mean) / self.std)
        return normalize(features if self.bnneck == "before" else self.neck.norm(features), dim=1)
