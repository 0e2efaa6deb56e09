"""Exported graphs against torch: any batch, real images, and a difference that is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from vitreid.bundle import Bundle, BundleRunner, ImageSpec, OutputSpec
from vitreid.export.closeness import compare
from vitreid.export.errors import ParityError
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.images import drawn_images, read_images
from vitreid.export.sanity import check_sanity
from vitreid.export.to_onnx import export_onnx, verify_onnx, write_graph
from vitreid.export.tolerance import TOLERANCES, Tolerance
from vitreid.export.trial import Trial
from vitreid.export.verify import measure_parity
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import parse_config
from vitreid.training.model import build_model

SPEC = ImageSpec(height=64, width=32)


def recipe(stem: str = "patch", bnneck: str = "before") -> str:
    return f"""
[model]
backbone = "vit_tiny_patch16_224"
options = {{ embed_dim = 24, depth = 2, num_heads = 2 }}
stem = "{stem}"
height = 64
width = 32
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
bnneck = "{bnneck}"
"""


def checkpoint(folder: Path, text: str, **learned: list[str]) -> Checkpoint:
    """A network with random weights and statistics that learned these cameras and views."""
    torch.manual_seed(1)
    config = parse_config(text, (), "test")
    counts: dict[str, Any] = {name: len(labels) for name, labels in learned.items()}
    model = build_model(config, persons=3, **counts)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    save_checkpoint(
        folder, model, config, {"persons": ["a", "b", "c"], "cameras": [], "scores": {"mAP": 0.5}, **learned}
    )
    return Checkpoint.open(folder)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return drawn_images(24, SPEC)


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "bnneck"), [("patch", "before"), ("conv", "after")])
def test_the_bundle_is_the_trained_model(tmp_path: Path, images: np.ndarray, stem: str, bnneck: str) -> None:
    trained = checkpoint(tmp_path / "trained", recipe(stem, bnneck))
    bundle = export_onnx(trained, tmp_path / "bundle", images, parity_data="drawn", name="small")
    model = trained.load_model()
    for size in (1, 2, 7):
        found = BundleRunner(Bundle.open(tmp_path / "bundle"), threads=1).run(images[:size])
        with torch.inference_mode():
            expected = model.embed(torch.from_numpy(images[:size])).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
    manifest = bundle.manifest
    assert (manifest.name, manifest.image, manifest.output) == ("small", SPEC, OutputSpec(dimension=24, bnneck=bnneck))
    assert manifest.parity[0].images == 24
    assert manifest.parity[0].max_abs_difference <= 1e-5
    assert manifest.parity[0].min_corrected_cosine >= 0.99999
    assert manifest.source["scores"] == {"mAP": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "cameras", "views"),
    [
        ("camera", ("c1", "c2"), ()),
        ("view", (), ("front", "rear", "side")),
        ("both", ("c1", "c2"), ("front", "rear", "side")),
    ],
)
def test_the_bundle_names_what_was_learned(
    tmp_path: Path, images: np.ndarray, side: str, cameras: tuple[str, ...], views: tuple[str, ...]
) -> None:
    learned = {"cameras": ["c1", "c2"], "views": ["front", "rear", "side"]}
    trained = checkpoint(tmp_path / "trained", recipe() + f'sie = "{side}"\n', **learned)
    bundle = export_onnx(trained, tmp_path / "bundle", images, parity_data="drawn")
    assert (bundle.manifest.cameras, bundle.manifest.views) == (cameras, views)
    assert verify_onnx(bundle, trained, images)[0].max_abs_difference <= 1e-5
    unknown, first = (
        BundleRunner(bundle, threads=1).run(images[:2], *[np.array([index, index])] * 2) for index in (-1, 0)
    )
    assert np.abs(unknown - first).max() > 1e-4


@pytest.mark.slow
def test_the_weights_are_inside_the_file(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "trained", recipe()).load_model()
    write_graph(EmbeddingGraph(model), SPEC, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    onnx.checker.check_model(graph)


@pytest.mark.slow
def test_a_graph_of_other_weights_is_refused(tmp_path: Path, images: np.ndarray) -> None:
    trained = checkpoint(tmp_path / "trained", recipe())
    bundle = export_onnx(trained, tmp_path / "bundle", images, parity_data="drawn")
    other = trained.load_model()
    with torch.no_grad():
        other.backbone.norm.weight.mul_(torch.rand(24))
    with pytest.raises(ParityError, match="too far from torch on 24 images: by "):
        TOLERANCES["fp32"].check(measure_parity(bundle, EmbeddingGraph(other), images))


@pytest.mark.slow
def test_a_failing_export_writes_nothing(tmp_path: Path, images: np.ndarray) -> None:
    trained = checkpoint(tmp_path / "trained", recipe())
    trial = Trial(tolerance=Tolerance(min_cosine=1.1, max_loss=1))
    with pytest.raises(ParityError, match=r"corrected cosine 1.0000000 \(at least 1.1 needed\)"):
        export_onnx(trained, tmp_path / "bundle", images, parity_data="drawn", trial=trial)
    assert not (tmp_path / "bundle").exists()


def test_the_difference_is_measured() -> None:
    expected = np.eye(3, dtype=np.float32)
    found = expected.copy()
    found[1] = (0.6, 0.8, 0)
    parity = compare(found, expected, "fp32")
    assert parity.max_abs_difference == pytest.approx(0.6)
    assert parity.min_cosine == pytest.approx(0.8)
    assert parity.mean_cosine == pytest.approx(2.8 / 3)
    assert parity.spread == pytest.approx((2 / 3) ** 0.5)
    assert parity.min_corrected_cosine == pytest.approx(1 - 0.2 / (2 / 3))
    assert parity.mean_corrected_cosine == pytest.approx(1 - 0.2 / 3 / (2 / 3))
    broken = compare(np.full((3, 3), np.nan, np.float32), expected, "fp32")
    assert broken.max_abs_difference == np.inf
    assert (broken.min_cosine, broken.min_corrected_cosine) == (-1, pytest.approx(-2))
    empty = compare(np.zeros((3, 3), np.float32), expected, "fp32")
    assert (empty.min_cosine, empty.min_corrected_cosine) == (0, pytest.approx(-0.5))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
def test_the_same_embedding_for_all_images_shows_nothing(count: int, value: float) -> None:
    rows = np.full((count, 4), value, np.float32)
    with pytest.raises(ParityError, match=rf"of {count} images do not differ, .*; give a folder of different"):
        compare(rows, rows, "int8")


def test_sanity_of_a_sound_bundle(tiny_bundle: Path, images: np.ndarray) -> None:
    check_sanity(Bundle.open(tiny_bundle), images)


@pytest.mark.parametrize(
    ("transform", "fault"),
    [
        (lambda x: x * np.nan, "are not finite"),
        (lambda x: x * 2, "are not of unit length"),
        (lambda x: np.full_like(x, 48**-0.5), "are the same for all images"),
        (lambda x: np.roll(x, 1, axis=0), "change with the images beside them"),
    ],
)
def test_insane_bundles(
    tiny_bundle: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch, transform: object, fault: str
) -> None:
    run = BundleRunner.run
    monkeypatch.setattr(BundleRunner, "run", lambda self, images: transform(run(self, images)))
    with pytest.raises(ParityError, match=fault):
        check_sanity(Bundle.open(tiny_bundle), images)


def test_images_of_a_folder(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.new("RGB", (20, 50)).save(path)
    assert read_images(paths, SPEC).shape == (3, 64, 32, 3)
