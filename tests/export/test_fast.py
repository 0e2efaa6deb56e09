"""The fast form is the network: every variant in torch, a covering set of them exported, and what the graphs hold."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch

from vitreid.bundle import Bundle, ImageSpec, OpenVinoRunner, OutputSpec
from vitreid.bundle.run import feed_of, load_graph
from vitreid.export.errors import ExportError
from vitreid.export.fast import FastTransformer, fast_form
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.to_onnx import write_graph
from vitreid.training.backbones import POOLS, STEMS
from vitreid.training.backbones.attention import ATTENTION, RELATIVE
from vitreid.training.backbones.transreid import POSITION_LAYERS, POSITIONS
from vitreid.training.config import ModelConfig, TrainConfig
from vitreid.training.model import ReIDModel, build_model

SPEC = ImageSpec(height=64, width=32)
CAMERAS, VIEWS = 3, 2
FIVE: dict[str, Any] = {"jpm": {"parts": 5}}
SMALL: dict[str, Any] = {"embed_dim": 24, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def choices(field: str) -> list[dict[str, Any]]:
    return [{field: value} for value in get_args(ModelConfig.model_fields[field].annotation)]


AXES: dict[str, list[dict[str, Any]]] = {
    "stem": [*({"stem": name} for name in STEMS), {"stride": 12}],
    "position": [
        {"position": "none"},
        *({"position": kind, "position_at": at} for kind in POSITIONS for at in POSITION_LAYERS),
    ],
    "relative": [{"relative": name} for name in ("none", *RELATIVE)],
    "pool": [{"pool": name} for name in POOLS],
    "sie": choices("sie"),
    "bnneck": choices("bnneck"),
    "jpm": [{}, {"jpm": {}}, {"jpm": {"roll": 3, "groups": 3, "parts": 2}}],
    "options": [{}, {"init_values": 0.5}, {"qkv_bias": False, "pre_norm": True}],
}
"""What a recipe can say about a network. An entry more in a registry is a choice more here."""


def every_pair() -> Iterator[dict[str, Any]]:
    """Recipes among which every two choices of different axes are found together.

    In row (a, b) of p x p rows axis k takes choice a + k b, modulo p, and then modulo the number of its choices: for a
    prime p that is no less than the number of axes, two axes take all pairs of numbers below p.
    """
    axes = [[{}, {"stride": 12}], *list(AXES.values())[1:]]  # stems meet the other choices in what is exported
    least = max(len(axes), *map(len, axes))
    prime = next(p for p in itertools.count(least) if all(p % d for d in range(2, p)))
    for a, b in itertools.product(range(prime), repeat=2):
        yield merged(axis[(a + k * b) % prime % len(axis)] for k, axis in enumerate(axes))


def merged(chosen: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    *rest, options = chosen
    return {key: value for part in rest for key, value in part.items()} | {"options": {**SMALL, **options}}


def network(part: Mapping[str, Any], persons: int = 5) -> ReIDModel:
    """A network all of whose weights are random, also those that begin at 0 or 1."""
    torch.manual_seed(0)
    config = TrainConfig.model_validate(
        {"model": {"backbone": "vit_tiny_patch16_224", "height": SPEC.height, "width": SPEC.width, **part}}
    )
    model = build_model(config, persons=persons, cameras=CAMERAS, views=VIEWS, pretrained=False).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value) if "running_var" in name else 0.05 * torch.randn_like(value))
    return model


def feeds(graph: EmbeddingGraph | FastTransformer) -> Iterator[dict[str, np.ndarray]]:
    """Batches of 1, 2 and 7 images from known and unknown cameras and views."""
    random = np.random.default_rng(0)
    for size in (1, 2, 7):
        images = random.integers(0, 256, (size, SPEC.height, SPEC.width, 3), dtype=np.uint8)
        numbers = np.arange(size)
        yield feed_of(graph.inputs, images, (numbers + 2) % (CAMERAS + 2) - 1, (2 * numbers) % (VIEWS + 2) - 1)


def embedded(graph: torch.nn.Module, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return graph(**{name: torch.from_numpy(value) for name, value in feed.items()}).numpy()


@pytest.mark.slow
def test_the_fast_form_is_the_network_for_every_pair_of_choices() -> None:
    for part in every_pair():
        model = network(part)
        graph, fast = EmbeddingGraph(model), fast_form(model, 18)
        assert isinstance(fast, FastTransformer)
        *_, feed = feeds(graph)
        np.testing.assert_allclose(embedded(fast, feed), embedded(graph, feed), atol=1e-5, err_msg=str(part))


def written(part: Mapping[str, Any], opset: int, file: Path) -> tuple[ReIDModel, onnx.ModelProto]:
    model = network(part)
    write_graph(fast_form(model, opset), SPEC, file, opset)
    return model, onnx.load(file)


def operators(graph: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph.node)


@pytest.mark.slow
@pytest.mark.parametrize("row", range(max(map(len, AXES.values()))))
def test_every_choice_exports(tmp_path: Path, row: int) -> None:
    """A row of choices each: as many rows as the longest axis, the others from the start again.

    Batches of 1, 2 and 7; cameras and views that were learned, -1, and one too many.
    """
    opset = list(ATTENTION)[row % len(ATTENTION)]
    part = merged(axis[row % len(axis)] for axis in AXES.values())
    model, graph = written(part, opset, tmp_path / "model.onnx")
    session = load_graph(tmp_path / "model.onnx", threads=1)
    plain = EmbeddingGraph(model)
    assert {node.name for node in session.get_inputs()} == set(plain.inputs)
    for feed in feeds(plain):
        np.testing.assert_allclose(session.run(["embeddings"], feed)[0], embedded(plain, feed), atol=1e-5)
    found = operators(graph)
    assert not {name for name in found if name.startswith("Scatter")}
    whole = SMALL["depth"] - (part["pool"] == "cls")  # the class token looks at the others by products
    assert found["Attention"] == (whole if opset >= 23 else 0)
    assert {domain.domain for domain in graph.opset_import} == {""}


@pytest.mark.slow
@pytest.mark.parametrize("opset", ATTENTION)
@pytest.mark.parametrize(
    "part",
    [
        {"backbone": "resnet18", "bnneck": "after"},
        {"backbone": "vit_tiny_patch16_224", "options": {**SMALL, "qk_norm": True}, "sie": "camera", "jpm": {}},
    ],
    ids=["convnet", "norms inside of attention"],
)
def test_networks_without_a_fast_form_export_as_they_are(tmp_path: Path, part: dict[str, Any], opset: int) -> None:
    model = network(part)
    assert isinstance(fast_form(model, opset), EmbeddingGraph)
    written(part, opset, tmp_path / "model.onnx")
    session = load_graph(tmp_path / "model.onnx", threads=1)
    for feed in feeds(EmbeddingGraph(model)):
        expected = embedded(EmbeddingGraph(model), feed)
        np.testing.assert_allclose(session.run(["embeddings"], feed)[0], expected, atol=1e-5)


@pytest.mark.slow
def test_parts_cost_a_class_token_each(tmp_path: Path) -> None:
    """However many they are: queries, keys, values, what mixes them, and the two products of the MLP, once."""
    (_, alone), (_, beside) = (written({"options": SMALL, **part}, 23, tmp_path / "model.onnx") for part in ({}, FIVE))
    assert operators(beside)["Gemm"] - operators(alone)["Gemm"] == 6
    assert operators(beside)["Attention"] == operators(alone)["Attention"] == 1


def test_an_opset_without_a_form_is_refused() -> None:
    with pytest.raises(ExportError, match="opset 19 is not supported; take one of 18, 23"):
        fast_form(network({}), 19)


@pytest.mark.slow
def test_a_bundle_weighs_what_it_needs(tmp_path: Path) -> None:
    """Classifiers, BNNecks that embeddings are taken before, and the code's names stay outside."""
    wide = {"embed_dim": 128, "depth": 3, "num_heads": 2}
    part = {"options": wide, "sie": "both", "jpm": {}, "relative": "bias", "position": "2d", "position_at": "every"}
    model = network({**part, "pool": "mean"}, persons=1000)
    write_graph(fast_form(model, 23), SPEC, tmp_path / "model.onnx", 23)
    needed = 4 * sum(value.numel() for value in model.backbone.parameters())
    assert (tmp_path / "model.onnx").stat().st_size <= 1.05 * needed


def test_a_stem_of_16_bits_sees_what_has_little_contrast() -> None:
    """Mean and deviation in its weights would leave it the products of the mean to round, which say nothing."""
    model = network({"options": SMALL})
    images = np.random.default_rng(0).integers(100, 156, (7, SPEC.height, SPEC.width, 3), dtype=np.uint8)
    expected = embedded(EmbeddingGraph(model), {"images": images})
    fast = fast_form(model, 18)
    assert isinstance(fast, FastTransformer)
    with torch.no_grad():
        fast.stem.proj.weight.copy_(fast.stem.proj.weight.bfloat16())
    fast.stem.proj.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16().float(),))
    assert np.sum(embedded(fast, {"images": images}) * expected, axis=1).min() > 1 - 5e-6


@pytest.mark.slow
def test_attention_is_read_by_openvino(tmp_path: Path) -> None:
    part = {"sie": "camera", "jpm": {}, "relative": "keys", "options": SMALL}
    model, _ = written(part, 23, tmp_path / "model.onnx")
    image, output = SPEC, OutputSpec(dimension=model.dimension)
    bundle = Bundle.save(
        tmp_path / "bundle", tmp_path / "model.onnx", name="x", image=image, output=output, cameras=("a", "b", "c")
    )
    runner = OpenVinoRunner(bundle, threads=1)
    for feed in feeds(EmbeddingGraph(model)):
        found = runner.run(feed["images"], feed["camera"])
        np.testing.assert_allclose(found, embedded(EmbeddingGraph(model), feed), atol=1e-5)
