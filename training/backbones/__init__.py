"""Networks that turn pictures into features."""

from training.backbones.vit import STEMS, build_vit, fuse_attention

__all__ = ["STEMS", "build_vit", "fuse_attention"]
