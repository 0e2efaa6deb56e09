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

from vitreid.training.backbones import Backbone, Features, build_backbone
from vitreid.training.config import TrainConfig


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
    """Tokens of a transformer, for the losses on patches.

    `cls` (B, D) and `patches` (B, N, D) after the final norm; `positions` (N, D) and `biases` (maps, N, N) are the
    absolute position embedding and the relative biases of all heads, where the network has them.
    """

    cls: Tensor
    patches: Tensor
    positions: Tensor | None
    biases: Tensor | None


@dataclass(frozen=True)
class ReIDOutput:
    """Input of the losses: a branch for the whole image, then one per local part; tokens of a transformer."""

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
        """Normalise features (B, D) and classify them."""
        bn_features = self.norm(features)
        return Branch(features, bn_features, self.classifier(bn_features), self.classifier.weight)


class ReIDModel(nn.Module):
    """Images to features and logits for the losses, or to unit embeddings for retrieval.

    `features` is the number of features of the backbone, `bnneck` the side of the BNNeck on which embeddings are taken.
    The modules in `frozen` stay in evaluation mode while the others train.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        persons: int,
        features: int = 1,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        bnneck: Literal["before", "after"] = "before",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.necks = nn.ModuleList(BNNeck(backbone.num_features, persons) for _ in range(features))
        self.bnneck = bnneck
        self.frozen: tuple[nn.Module, ...] = ()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @property
    def dimension(self) -> int:
        """Length of an embedding: all features in a row."""
        return self.backbone.num_features * len(self.necks)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> ReIDOutput:
        """Return features and logits of normalised (B, 3, H, W) images; camera and view (B,), -1 or None = unknown."""
        return self.output(self.backbone(images, camera, view))

    def output(self, features: Features) -> ReIDOutput:
        """Return the input of the losses from the backbone's features."""
        branches = tuple(neck(feature) for neck, feature in zip(self.necks, features.all, strict=True))
        if features.cls is None or features.patches is None:
            return ReIDOutput(branches, None)
        tokens = Tokens(features.cls, features.patches, self.backbone.positions(), self.backbone.biases())
        return ReIDOutput(branches, tokens)

    def embed(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Return unit embeddings (B, dimension) of uint8 (B, H, W, 3) images, as the exported graph computes them.

        Cameras and views as in `forward`.
        """
        return self.concat_features(self.backbone(self.normalise(images), camera, view).all)

    def concat_features(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return unit embeddings (B, dimension) of the backbone's features (B, D) each.

        The whole image's feature, then the local ones divided by their number (He et al., "TransReID", ICCV 2021).
        """
        if self.bnneck == "after":
            pairs = zip(self.necks, features, strict=True)
            features = tuple(neck.norm(feature) for neck, feature in pairs)  # type: ignore[operator]  # a BNNeck's norm
        local = [feature / (len(features) - 1) for feature in features[1:]]
        return normalize(torch.cat([features[0], *local], dim=1), dim=1)

    def normalise(self, images: Tensor) -> Tensor:
        """Convert uint8 (B, H, W, 3) images to the backbone's input (B, 3, H, W)."""
        pixels = images.float().permute(0, 3, 1, 2) / 255  # cast first: onnxruntime has no uint8 transpose kernel
        return (pixels - self.mean) / self.std


def build_model(
    config: TrainConfig, *, persons: int, cameras: int = 0, views: int = 0, pretrained: bool = True
) -> ReIDModel:
    """Build a recipe's network for numbers of training persons, cameras and views.

    Its weights are random, or timm's if the recipe asks for them and `pretrained` allows it; `start_from` loads those
    of a file. Raises ConfigError if the recipe cannot be built.
    """
    part = config.model
    download = pretrained and part.weights == "timm"
    backbone = build_backbone(part, pretrained=download, cameras=cameras, views=views)
    features = 1 if part.jpm is None else 1 + part.jpm.parts
    return ReIDModel(backbone, persons=persons, features=features, mean=part.mean, std=part.std, bnneck=part.bnneck)
