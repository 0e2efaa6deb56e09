"""Networks that turn images into features."""

from vitreid.training.backbones.attention import fuse_attention
from vitreid.training.backbones.build import BACKBONES, build_backbone, build_vit
from vitreid.training.backbones.cnn import CNN, build_cnn
from vitreid.training.backbones.protocol import Backbone, Features
from vitreid.training.backbones.stems import STEMS
from vitreid.training.backbones.transreid import POOLS, TransReID

__all__ = [
    "BACKBONES",
    "CNN",
    "POOLS",
    "STEMS",
    "Backbone",
    "Features",
    "TransReID",
    "build_backbone",
    "build_cnn",
    "build_vit",
    "fuse_attention",
]
