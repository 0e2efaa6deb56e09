"""Bundles to measure with: real graphs with random weights, for questions of speed."""

from __future__ import annotations

from pathlib import Path

import torch

from bundle import Bundle, ImageSpec, OutputSpec
from bundle.evidence import EXPLAIN
from export.explain import EvidenceGraph, evidence_of, write_evidence
from export.graph import EmbeddingGraph
from export.to_onnx import write_graph
from training.checkpoint import build_model
from training.config import parse_config
from training.model import ReIDModel


def random_bundle(folder: Path, backbone: str = "vit_small_patch16_224", height: int = 256, width: int = 128) -> Bundle:
    """Export a timm ViT of random weights to a bundle in `folder`."""
    model = _random_model(backbone, height, width)
    spec = ImageSpec(height=height, width=width)
    folder.mkdir(parents=True)
    write_graph(EmbeddingGraph(model), spec, folder / "model.onnx")
    dimension = model.dimension
    return Bundle.save(
        folder / "bundle", folder / "model.onnx", name=backbone, image=spec, output=OutputSpec(dimension=dimension)
    )


def explained_bundle(
    folder: Path, backbone: str = "vit_small_patch16_224", height: int = 256, width: int = 128
) -> Bundle:
    """The same bundle with an explain.onnx."""
    bundle = random_bundle(folder, backbone, height, width)
    graph = EvidenceGraph(_random_model(backbone, height, width))
    write_evidence(graph, bundle, folder / EXPLAIN)
    return bundle.extend({EXPLAIN: folder / EXPLAIN}, explain=evidence_of(graph, parity_images=1, difference=0.0))


def _random_model(backbone: str, height: int, width: int) -> ReIDModel:
    torch.manual_seed(0)
    config = parse_config(f'[model]\nbackbone = "{backbone}"\nheight = {height}\nwidth = {width}', (), backbone)
    return build_model(config, persons=2, pretrained=False)
