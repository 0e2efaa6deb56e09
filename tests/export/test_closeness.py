"""A direction that all embeddings share hides nothing: the same network gets the same verdict with it and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.export.foreign import HEIGHT, WIDTH, save_foreign
from vitreid.bundle import Bundle, Parity
from vitreid.bundle.closeness import corrected_cosines, cosines
from vitreid.export.adopt import adopt
from vitreid.export.closeness import compare
from vitreid.export.errors import AdoptionError, ExportError
from vitreid.export.explain import add_explain_graph
from vitreid.export.images import drawn_images
from vitreid.export.original import Original
from vitreid.export.pixels import InputSpec
from vitreid.export.to_onnx import export_onnx
from vitreid.export.tolerance import TOLERANCES
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import parse_config
from vitreid.training.model import build_model

RECIPE = """
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 192, depth = 2, num_heads = 3 }
height = 64
width = 32
"""


def trained(folder: Path, common: float, *, outlier: float = 0.0, seed: int = 0) -> Checkpoint:
    """A network with random weights, `common` added to a channel of all embeddings, and an outlying activation."""
    torch.manual_seed(seed)
    config = parse_config(RECIPE, (), "test")
    model = build_model(config, persons=3)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
        for block in model.backbone.blocks:
            block.mlp.fc1.bias[5] += outlier
            block.mlp.fc2.weight[:, 5] *= 0.01
        model.backbone.norm.bias[0] += common
    save_checkpoint(folder, model, config, {"persons": ["a", "b", "c"], "cameras": ()})
    return Checkpoint.open(folder)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return drawn_images(40, parse_config(RECIPE, (), "test").model.image)


@pytest.mark.slow
@pytest.mark.parametrize("common", [0.0, 100.0])
def test_a_lost_ranking_is_refused_whatever_embeddings_share(tmp_path: Path, images: np.ndarray, common: float) -> None:
    checkpoint = trained(tmp_path / "trained", common, outlier=100.0)
    with pytest.raises(ExportError, match=r"in int8 is too far from torch on 40 images: corrected cosine -?0\.\d+ "):
        export_onnx(checkpoint, tmp_path / "bundle", images, parity_data="drawn", precision="int8")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("common", [0.0, 100.0])
def test_a_good_export_passes(tmp_path: Path, images: np.ndarray, precision: str, common: float) -> None:
    checkpoint = trained(tmp_path / "trained", common)
    bundle = export_onnx(checkpoint, tmp_path / "bundle", images, parity_data="drawn", precision=precision)
    [parity] = Bundle.open(bundle.path).manifest.parity
    assert parity.min_corrected_cosine >= TOLERANCES[precision].min_cosine


@pytest.mark.slow
def test_another_network_is_another_one_whatever_embeddings_share(tmp_path: Path, images: np.ndarray) -> None:
    one, other = (trained(tmp_path / str(seed), 100.0, seed=seed) for seed in (0, 1))
    bundle = export_onnx(one, tmp_path / "bundle", images, parity_data="drawn")
    with pytest.raises(ExportError, match=r"is not of this checkpoint: .* a mean corrected cosine of -?[01]"):
        add_explain_graph(bundle, other, images)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_what_is_lost_within_the_spread_is_refused_in_every_precision(precision: str) -> None:
    """Rows that differ by a hundredth, with a noise of a quarter of that: all plain cosines are above 0.99999."""
    random = np.random.default_rng(0)
    own, noise = random.normal(0, 1e-3, (2, 50, 100)) * [[[1]], [[0.25]]]
    expected, found = (1.0 + own), (1.0 + own + noise)
    expected, found = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (expected, found))
    assert cosines(found, expected).min() > 0.99999
    parity = compare(found.astype(np.float32), expected.astype(np.float32), precision)
    assert [fault[:16] for fault in TOLERANCES[precision].faults(parity)][-1] == "corrected cosine"


def test_an_adopted_model_is_tried_by_its_spread(tmp_path: Path) -> None:
    """A batch that moves embeddings by less than 1e-5, which is more than they differ."""
    model = save_foreign(tmp_path / "model.onnx", tail="alike, of the batch")
    images = np.random.default_rng(1).integers(0, 256, (20, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with pytest.raises(AdoptionError, match="in a batch embeddings change: corrected cosine"):
        adopt(Original.open(model, InputSpec()), tmp_path / "bundle", images, parity_data="noise")


def test_what_two_images_have_in_common_counts_for_nothing() -> None:
    """Equal rows have 1, rows that are exchanged with those of other images 0 in the mean, with a constant or not."""
    random = np.random.default_rng(0)
    for common in (0.0, 10.0):
        rows = random.normal(0, 1, (400, 64)) + common
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        assert corrected_cosines(rows, rows).min() == pytest.approx(1)
        assert corrected_cosines(np.roll(rows, 1, 0), rows).mean() == pytest.approx(0, abs=0.02)


def test_manifests_of_earlier_versions() -> None:
    """They have plain cosines alone."""
    older = {"runtime": "r", "precision": "int8", "images": 64, "max_abs_difference": 0.1, "min_cosine": 0.99}
    assert Parity.model_validate(older).min_corrected_cosine is None
