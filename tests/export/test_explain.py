"""explain.onnx against torch and against loops: every stem, pooling and form of attention, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.commands import vitreid
from vitreid.bundle import Bundle, BundleDamaged, ImageSpec, Manifest, PatchRunner
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.export.errors import ExportError, ParityError
from vitreid.export.explain import (
    WEIGHTINGS,
    PatchGraph,
    add_explain_graph,
    difference_of,
    patch_spec_of,
    write_explain_graph,
)
from vitreid.export.images import drawn_images
from vitreid.export.sanity import check_sanity
from vitreid.export.to_onnx import export_onnx, verify_onnx
from vitreid.training.backbones import POOLS, STEMS
from vitreid.training.backbones.attention import RELATIVE, attention_weights
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import parse_config
from vitreid.training.model import ReIDModel, build_model

SPEC = ImageSpec(height=64, width=32)


def config_text(*, options: str = "embed_dim = 24, depth = 2, num_heads = 2", **model: Any) -> str:
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in model.items()]
    return "\n".join(
        [
            "[model]",
            'backbone = "vit_tiny_patch16_224"',
            f"options = {{ {options} }}",
            "height = 64",
            "width = 32",
            *lines,
        ]
    )


def model_of(text: str) -> ReIDModel:
    torch.manual_seed(1)
    return build_model(parse_config(text, (), "test"), persons=3, cameras=2, views=2).eval()


def checkpoint_of(folder: Path, text: str, *, cameras: tuple[str, ...] = ()) -> Checkpoint:
    torch.manual_seed(1)
    config = parse_config(text, (), "test")
    model = build_model(config, persons=3, cameras=len(cameras))
    save_checkpoint(folder, model, config, {"persons": ["a", "b", "c"], "cameras": list(cameras)})
    return Checkpoint.open(folder)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return drawn_images(12, SPEC)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> tuple[Bundle, Checkpoint, str]:
    """An exported bundle with explain.onnx, its checkpoint, and the id that it had before."""
    folder = tmp_path_factory.mktemp("explained")
    trained = checkpoint_of(folder / "trained", config_text(pool="weighted", stride=8))
    bundle = export_onnx(trained, folder / "bundle", images, parity_data="drawn")
    return add_explain_graph(bundle, trained, images), trained, bundle.manifest.bundle_id


@pytest.mark.slow
def test_the_file_says_what_torch_says(explained: tuple[Bundle, Checkpoint, str], images: np.ndarray) -> None:
    bundle, trained, _ = explained
    runner, graph = PatchRunner(Bundle.open(bundle.path), threads=1), PatchGraph(trained.load_model())
    for size in (1, 2, 7):
        with torch.inference_mode():
            expected = graph(torch.from_numpy(images[:size]))
        for found, wanted in zip(runner.run(images[:size]), expected, strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    patches, attention = runner.run(images)
    np.testing.assert_allclose(np.linalg.norm(patches, axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(attention.sum(1), 1, atol=1e-5)
    assert attention.min() >= 0


def test_the_bundle_keeps_its_id_and_says_where_patches_lie(explained: tuple[Bundle, Checkpoint, str]) -> None:
    bundle, _, before = explained
    assert bundle.manifest.bundle_id == before
    spec = bundle.manifest.explain
    assert spec is not None
    assert (spec.rows, spec.columns, spec.dimension, spec.attention) == (7, 3, 24, "weighted")
    assert (spec.patch_size, spec.stride, spec.parity_images) == ((16, 16), (8, 8), 12)
    assert spec.max_abs_difference <= 1e-5
    np.testing.assert_allclose(
        spec.boxes(128, 32, (64, 32))[[0, 4, 20]], [[0, 0, 16, 32], [8, 16, 24, 48], [16, 96, 32, 128]]
    )


VARIANTS = {
    "bias, JPM, camera and view": (
        config_text(relative="bias", sie="both") + "\n[model.jpm]\nparts = 2\n",
        True,
    ),
    "keys, overlapping": (config_text(relative="keys", stride=12, pool="weighted"), False),
    "ics, mean": (config_text(stem="ics", pool="mean"), False),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_form_exports(tmp_path: Path, images: np.ndarray, variant: str) -> None:
    text, side = VARIANTS[variant]
    graph = PatchGraph(model_of(text))
    names = ("a", "b") if side else ()
    spec = patch_spec_of(graph, parity_images=1, difference=0.0)
    parts: dict[str, Any] = {"image": SPEC, "cameras": names, "views": names, "explain": spec}
    bundle = Bundle(tmp_path, Manifest.model_construct(**parts))
    write_explain_graph(graph, bundle, tmp_path / EXPLAIN)
    assert difference_of(bundle, graph, images) <= 1e-5


def test_a_damaged_file_is_noticed(explained: tuple[Bundle, Checkpoint, str], tmp_path: Path) -> None:
    shutil.copytree(explained[0].path, tmp_path / "bundle")
    content = bytearray((tmp_path / "bundle" / EXPLAIN).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bundle" / EXPLAIN).write_bytes(content)
    with pytest.raises(BundleDamaged, match=r"explain\.onnx has sha256"):
        Bundle.open(tmp_path / "bundle")


@pytest.mark.parametrize("stem", STEMS)
def test_every_stem_says_where_its_patches_lie(stem: str) -> None:
    spec = patch_spec_of(PatchGraph(model_of(config_text(stem=stem))), parity_images=1, difference=0.0)
    assert (spec.rows, spec.columns) == (4, 2)
    assert spec.patch_size == spec.stride == (16, 16)


@pytest.mark.parametrize("pool", POOLS)
def test_every_pooling_says_who_looks(pool: str) -> None:
    model = model_of(config_text(pool=pool))
    graph = PatchGraph(model)
    assert graph.weighting.name == pool.removesuffix("_gem")  # its class token looks
    attention, tokens = torch.rand(2, 9, 9), torch.randn(2, 9, 24)
    looks = {
        "cls": attention[:, 0, 1:],
        "cls_gem": attention[:, 0, 1:],
        "mean": attention[:, 1:, 1:].mean(1),
        "weighted": torch.stack([torch.softmax(row[1:] @ row[0] / 24**0.5, 0) for row in tokens]),
    }
    torch.testing.assert_close(WEIGHTINGS[POOLS[pool]].weights(attention, tokens), looks[pool])


def outputs_by_loops(attention: Any, normed: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (B, L, L), mean of the heads, and what the module must then give (B, L, D)."""
    batch, length, width = normed.shape
    heads = attention.num_heads
    size = width // heads
    projected = attention.qkv(normed)
    mean = torch.zeros(batch, length, length)
    seen = torch.zeros(batch, length, width)
    for b in range(batch):
        for h in range(heads):
            query, key, value = (projected[b, :, part * width + h * size :][:, :size] for part in range(3))
            weights = torch.softmax(query @ key.T / size**0.5 + bias[b, h], dim=1)
            mean[b] += weights / heads
            seen[b, :, h * size : (h + 1) * size] = weights @ value
    return mean, attention.proj(seen)


@pytest.mark.parametrize("relative", [None, *RELATIVE])
def test_attention_is_that_of_the_last_block(relative: str | None) -> None:
    model = model_of(config_text(relative=relative or "none"))
    block = cast(Any, model.backbone).blocks[-1]
    tokens = torch.randn(2, 9, 24)
    normed = block.norm1(tokens)
    bias = torch.zeros(2, 2, 9, 9)
    if relative is not None:
        query = block.attn.qkv(normed).reshape(2, 9, 3, 2, 12)[:, 1:, 0].transpose(1, 2)
        bias[:, :, 1:, 1:] = block.attn.patch_logits(query)
    weights, seen = outputs_by_loops(block.attn, normed, bias)
    torch.testing.assert_close(attention_weights(block.attn, normed).mean(1), weights)
    torch.testing.assert_close(block.attn(normed), seen)  # so these are the weights that the block computes with


def test_patches_are_the_normed_outputs_with_side_information_and_jigsaw(images: np.ndarray) -> None:
    text = config_text(sie="both", options="embed_dim = 24, depth = 1, num_heads = 2") + "\n[model.jpm]\nparts = 2\n"
    model = model_of(text)
    batch = torch.from_numpy(images[:3])
    camera, view = torch.tensor([0, 1, -1]), torch.tensor([1, -1, 0])
    patches, _ = PatchGraph(model)(batch, camera, view)
    expected = model.backbone(model.normalise(batch), camera, view).patches
    torch.testing.assert_close(patches, torch.nn.functional.normalize(expected, dim=2))
    unknown, _ = PatchGraph(model)(batch)
    assert not torch.allclose(patches, unknown)


def test_a_resnet_has_no_patches() -> None:
    with pytest.raises(ExportError, match="has no patches to explain"):
        PatchGraph(model_of('[model]\nbackbone = "resnet18"\nheight = 64\nwidth = 32\n'))


def test_another_checkpoint_is_refused(
    explained: tuple[Bundle, Checkpoint, str], tmp_path: Path, images: np.ndarray
) -> None:
    other = checkpoint_of(tmp_path / "other", config_text(pool="cls"))
    with pytest.raises(ParityError, match="is not of this checkpoint"):
        add_explain_graph(explained[0], other, images)


@pytest.mark.parametrize(
    ("changes", "cameras", "told"),
    [
        ({"height": 128, "width": 48}, (), "images of 64x32 instead of 128x48"),
        ({"options": "embed_dim = 32, depth = 2, num_heads = 2"}, (), "embeddings of length 24 instead of 32"),
        ({"sie": "camera"}, ("c1", "c2"), "the cameras none instead of c1, c2"),
    ],
)
def test_a_checkpoint_of_another_form_is_refused(
    explained: tuple[Bundle, Checkpoint, str],
    tmp_path: Path,
    images: np.ndarray,
    changes: dict[str, Any],
    cameras: tuple[str, ...],
    told: str,
) -> None:
    text = config_text(**{key: value for key, value in changes.items() if key not in ("height", "width")})
    for name in ("height", "width"):
        text = text.replace(f"{name} = {SPEC.model_dump()[name]}", f"{name} = {changes.get(name, getattr(SPEC, name))}")
    other = checkpoint_of(tmp_path / "other", text, cameras=cameras)
    for trial in (add_explain_graph, verify_onnx):
        with pytest.raises(ParityError, match=f"bundle is not of .*other: it has {told}; give the checkpoint"):
            trial(explained[0], other, images)


def test_verifying_looks_at_the_evidence_too(explained: tuple[Bundle, Checkpoint, str], images: np.ndarray) -> None:
    bundle = explained[0]
    check_sanity(bundle, images)
    spec = bundle.manifest.explain
    assert spec is not None
    wrong = bundle.manifest.model_copy(update={"explain": spec.model_copy(update={"rows": 8})})
    with pytest.raises(BundleDamaged, match=r"explain\.onnx has inputs and outputs .*; the manifest expects others"):
        check_sanity(Bundle(bundle.path, wrong), images)


@pytest.mark.slow
def test_a_graph_that_differs_is_not_added(
    explained: tuple[Bundle, Checkpoint, str], images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitreid.export.explain.MAX_ABS_DIFFERENCE", -1.0)
    bundle, trained, _ = explained
    with pytest.raises(ParityError, match="was not added"):
        add_explain_graph(bundle, trained, images)
    assert Bundle.open(bundle.path).manifest == bundle.manifest


@pytest.mark.slow
def test_the_command(explained: tuple[Bundle, Checkpoint, str], tmp_path: Path) -> None:
    bundle, trained, before = explained
    shutil.copytree(bundle.path, tmp_path / "bundle")
    told = vitreid("export", "explain", tmp_path / "bundle", "--checkpoint", trained.path)
    assert told.exit_code == 0, told.output
    assert "7x3 patches" in told.output
    assert Bundle.open(tmp_path / "bundle").manifest.bundle_id == before
