"""Bundles for benchmarks of speed: real graphs with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from vitreid.bundle import Bundle, ImageSpec, OutputSpec
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.export.explain import PatchGraph, patch_spec_of, write_explain_graph
from vitreid.export.fast import FastTransformer, fast_form
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.to_onnx import OPSET, write_graph
from vitreid.training.config import TrainConfig
from vitreid.training.model import ReIDModel, build_model

VIT_S = "vit_small_patch16_224"


def random_bundle(folder: Path, backbone: str = VIT_S, height: int = 256, width: int = 128) -> Bundle:
    """Export a timm ViT with random weights to a bundle in `folder`."""
    model = random_model(backbone=backbone, height=height, width=width)
    return saved(fast_form(model, OPSET), folder, OPSET, ImageSpec(height=height, width=width), name=backbone)


def explained_bundle(folder: Path, backbone: str = VIT_S, height: int = 256, width: int = 128) -> Bundle:
    """Return the same bundle with an explain.onnx."""
    bundle = random_bundle(folder, backbone, height, width)
    graph = PatchGraph(random_model(backbone=backbone, height=height, width=width))
    write_explain_graph(graph, bundle, folder / EXPLAIN)
    return bundle.extend({EXPLAIN: folder / EXPLAIN}, explain=patch_spec_of(graph, parity_images=1, difference=0.0))


def random_model(**part: Any) -> ReIDModel:
    """Return a ViT-S at 256x128; `part` are keys of a recipe's model that replace the defaults.

    All weights are random, also those that are initialized to 0, which the exporter would omit.
    """
    torch.manual_seed(0)
    config = TrainConfig.model_validate({"model": {"backbone": VIT_S, "height": 256, "width": 128, **part}})
    model = build_model(config, persons=2, pretrained=False).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.01 * torch.randn_like(weights))
    return model


def saved(
    graph: EmbeddingGraph | FastTransformer, folder: Path, opset: int, image: ImageSpec, name: str = "random"
) -> Bundle:
    """Save the graph of a model without cameras and views as a bundle in `folder`."""
    folder.mkdir(parents=True)
    write_graph(graph, image, folder / "model.onnx", opset)
    output = OutputSpec(dimension=graph.model.dimension)
    return Bundle.save(folder / "bundle", folder / "model.onnx", name=name, image=image, output=output)
