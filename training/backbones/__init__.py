"""Networks that turn images into features."""

from vitreid.training.backbones.cnn import CNN, build_cnn
from vitreid.training.backbones.features import Features
from vitreid.training.backbones.stems import STEMS
from vitreid.training.backbones.transreid import POOLS, JPMOptions, ViT, build_vit, fuse_attention
from vitreid.training.backbones.trial import check_forward

__all__ = [
    "CNN",
    "POOLS",
    "STEMS",
    "Features",
    "JPMOptions",
    "ViT",
    "build_cnn",
    "build_vit",
    "check_forward",
    "fuse_attention",
]
