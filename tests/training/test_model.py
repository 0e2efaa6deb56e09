from __future__ import annotations

from typing import Any

import pytest
import torch

from vitreid.training.backbones import build_vit
from vitreid.training.model import BNNeck, ReIDModel

SMALL = {"embed_dim": 24, "depth": 1, "num_heads": 2}


@pytest.fixture
def model() -> ReIDModel:
    torch.manual_seed(0)
    vit = build_vit("vit_tiny_patch16_224", size=(64, 32), options=SMALL)
    return ReIDModel(vit, persons=7, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3)).eval()


def test_shapes(model: ReIDModel) -> None:
    [output] = model(torch.randn(3, 3, 64, 32)).branches
    assert output.features.shape == (3, 24)
    assert output.logits.shape == (3, 7)


def test_the_neck_has_no_bias_that_learns() -> None:
    neck = BNNeck(4, 3)
    assert not neck.norm.bias.requires_grad
    assert neck.classifier.bias is None
    assert neck.norm.weight.requires_grad


@pytest.mark.parametrize("bnneck", ["before", "after"])
def test_embeddings_are_the_normalised_features(model: ReIDModel, bnneck: Any) -> None:
    model.bnneck = bnneck
    model.necks[0].norm.running_mean.normal_()
    images = torch.randint(0, 256, (2, 64, 32, 3), dtype=torch.uint8)
    pixels = torch.empty(2, 3, 64, 32)
    for channel, (mean, std) in enumerate(zip((0.4, 0.5, 0.6), (0.1, 0.2, 0.3), strict=True)):
        pixels[:, channel] = (images[..., channel] / 255 - mean) / std
    features = model(pixels).branches[0].features
    expected = features if bnneck == "before" else model.necks[0].norm(features)
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model.embed(images), expected)
