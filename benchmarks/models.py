"""Bundles to measure with: real graphs with random weights, for questions of speed."""

from __future__ import annotations

from pathlib import Path

import torch

from bundle import Bundle, ImageSpec, OutputSpec
from export.graph import EmbeddingGraph
from export.to_onnx import write_graph
from training.checkpoint import build_model
from training.config import parse_config


def random_bundle(folder: Path, backbone: str = "vit_small_patch16_224", height: int = 256, width: int = 128) -> Bundle:
    """Export a timm ViT of random weights to a bundle in `folder`."""
    torch.manual_seed(0)
    config = parse_config(f'[model]\nbackbone = "{backbone}"\nheight = {height}\nwidth = {width}', (), backbone)
    model = build_model(config, persons=2, pretrained=False)
    spec = ImageSpec(height=height, width=width)
    folder.mkdir(parents=True)
    write_graph(EmbeddingGraph(model), spec, folder / "model.onnx")
    dimension = model.dimension
    return Bundle.save(
        folder / "bundle", folder / "model.onnx", name=backbone, image=spec, output=OutputSpec(dimension=dimension)
    )
