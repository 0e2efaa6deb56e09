"""A training starts from published weights or ours: what fits is the same network, what does not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.training.pretrained.transreid import as_transreid
from vitreid.training.checkpoint import save_checkpoint
from vitreid.training.config import TrainConfig, parse_config
from vitreid.training.errors import CheckpointError, ConfigError, WeightsError
from vitreid.training.model import ReIDModel, build_model
from vitreid.training.pretrained.load import start_from

LABELS: dict[str, Any] = {"persons": ("a", "b", "c"), "cameras": ("c1", "c2"), "views": ()}
OTHERS: dict[str, Any] = {"persons": ("d", "e"), "cameras": ("k1", "k2", "k3"), "views": ("front", "rear")}
SMALL: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 1}
NECKS = "necks.0, necks.1, necks.2, necks.3, necks.4"  # of a JPM of four parts
TOML = """
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 64, depth = 2, num_heads = 1 }
height = 64
width = 32
"""


def recipe(*changes: str) -> TrainConfig:
    return parse_config(TOML, [f"model.{change}" for change in changes], "test")


def built(config: TrainConfig, labels: dict[str, tuple[str, ...]] = LABELS) -> ReIDModel:
    counts: dict[str, Any] = {name: len(known) for name, known in labels.items()}
    return build_model(config, **counts).eval()


def started(source: Path, config: TrainConfig, labels: dict[str, tuple[str, ...]] = LABELS) -> tuple[ReIDModel, str]:
    model = built(config, labels)
    part = config.model
    size = (part.height, part.width)
    return model, start_from(model, source, size=size, labels=labels, grid=part.weights_grid).note


def saved(path: Path, config: TrainConfig, labels: dict[str, tuple[str, ...]] = LABELS) -> ReIDModel:
    """A checkpoint with nothing left as it was made."""
    torch.manual_seed(5)
    model = built(config, labels)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_checkpoint(path, model, config, {name: list(known) for name, known in labels.items()})
    return model


def features(model: torch.nn.Module, size: tuple[int, int] = (64, 32)) -> Tensor:
    """Features of the same images: the whole image's, or timm's."""
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        if isinstance(model, ReIDModel):
            return torch.cat(model.backbone(images).all, dim=1)
        part: Any = model.eval()
        found: Tensor = part.forward_head(part.forward_features(images), pre_logits=True)
        return found


def assert_same(model: torch.nn.Module, source: torch.nn.Module, size: tuple[int, int] = (64, 32)) -> None:
    torch.testing.assert_close(features(model, size), features(source, size), atol=1e-5, rtol=1e-5)


@pytest.fixture
def vit() -> torch.nn.Module:
    torch.manual_seed(0)
    made: torch.nn.Module = timm.create_model("vit_tiny_patch16_224", img_size=(64, 32), num_classes=10, **SMALL)
    return made


@pytest.mark.parametrize(
    ("name", "wrapper", "prefix"),
    [
        ("timm.safetensors", None, ""),
        ("deit.pth", "model", ""),
        ("dino.pth", "teacher", "module.backbone."),
        ("transreid.pth", None, "base."),
    ],
)
def test_published_backbones(vit: torch.nn.Module, tmp_path: Path, name: str, wrapper: str | None, prefix: str) -> None:
    file = tmp_path / name
    state = {prefix + key: value for key, value in vit.state_dict().items()}
    if name.endswith("safetensors"):
        save_file(state, file)
    else:
        torch.save({wrapper: state} if wrapper else state, file)
    model, told = started(file, recipe("sie=camera"))
    assert told == f"the network starts from {file}; left out: {_left(prefix)}; at random: backbone.sie, necks.0"
    model.backbone.sie = None
    assert_same(model, vit)


def _left(prefix: str) -> str:
    return "base.head" if prefix == "base." else "head"


def test_a_distilled_deit_without_its_second_token(vit: torch.nn.Module, tmp_path: Path) -> None:
    state = vit.state_dict()
    places = state["pos_embed"]
    changed = {"dist_token": torch.ones(1, 1, 64), "head_dist.weight": torch.ones(10, 64)}
    changed["pos_embed"] = torch.cat([places[:, :1], torch.full((1, 1, 64), 9.0), places[:, 1:]], dim=1)
    torch.save({"model": state | changed}, tmp_path / "deit.pth")
    model, told = started(tmp_path / "deit.pth", recipe())
    assert "left out: dist_token, head, head_dist; at random: necks.0" in told
    assert_same(model, vit)


def test_a_convolution_stem_of_transreid_ssl(tmp_path: Path) -> None:
    source = saved(tmp_path / "ours", recipe("stem=ics"))
    names = {name: name.removeprefix("backbone.").replace("position.embeddings.0.", "") for name in source.state_dict()}
    tensors = {names[name]: value for name, value in source.state_dict().items() if name.startswith("backbone.")}
    torch.save({"teacher": tensors}, tmp_path / "ssl.pth")
    assert_same(started(tmp_path / "ssl.pth", recipe("stem=ics"))[0], source)
    with pytest.raises(WeightsError, match=r"no backbone\.patch_embed\.proj\.weight|proj\.weight is .*stem 'ics'"):
        started(tmp_path / "ssl.pth", recipe())


def test_a_whole_transreid(tmp_path: Path) -> None:
    source = saved(tmp_path / "ours", recipe("sie=camera", "jpm={}"))
    tensors = as_transreid(source)
    tensors["base.sie_embed"] = tensors["base.sie_embed"].reshape(2, 1, 64)
    torch.save(tensors, tmp_path / "transreid.pth")
    model, told = started(tmp_path / "transreid.pth", recipe("sie=camera", "jpm={}"), OTHERS)
    assert f"left out: backbone.sie, base.blocks, base.norm, {NECKS}; at random: backbone.sie, {NECKS}" in told
    model.backbone.sie = source.backbone.sie = None
    assert_same(model, source)
    plain, told = started(tmp_path / "transreid.pth", recipe())
    assert "left out: backbone.jpm, backbone.sie" in told
    whole = features(plain)
    torch.testing.assert_close(whole, features(source)[:, :64], atol=1e-5, rtol=1e-5)


def test_the_jigsaw_starts_as_a_copy_of_the_last_block(vit: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(vit.state_dict(), tmp_path / "vit.pth")
    model, told = started(tmp_path / "vit.pth", recipe("jpm={}"))
    assert told.endswith(f"at random: {NECKS}")
    backbone: Any = model.backbone
    for name, value in backbone.blocks[-1].state_dict().items():
        torch.testing.assert_close(backbone.jpm.block.state_dict()[name], value)
        torch.testing.assert_close(value, vit.state_dict()[f"blocks.1.{name}"])
    torch.testing.assert_close(backbone.jpm.norm.weight, vit.state_dict()["norm.weight"])


@pytest.mark.parametrize(
    ("trained", "wanted", "grids"),
    [
        ((384, 128), {"height": 256, "width": 128}, "24x8 to 16x8"),
        ((224, 224), {"height": 256, "width": 128}, "14x14 to 16x8"),
        ((256, 128), {"height": 256, "width": 128, "stride": 12}, "16x8 to 21x10"),
    ],
)
def test_positions_of_another_grid(
    tmp_path: Path, trained: tuple[int, int], wanted: dict[str, int], grids: str
) -> None:
    source = timm.create_model("vit_tiny_patch16_224", img_size=trained, num_classes=0, **SMALL)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    model, told = started(tmp_path / "vit.pth", recipe(*(f"{key}={value}" for key, value in wanted.items())))
    assert f"positions resized from {grids} patches" in told
    rows, columns = trained[0] // 16, trained[1] // 16
    old = source.pos_embed[:, 1:].detach().reshape(1, rows, columns, 64).permute(0, 3, 1, 2)
    moved = torch.nn.functional.interpolate(old, model.backbone.grid, mode="bilinear")
    torch.testing.assert_close(model.backbone.positions(), moved[0].flatten(1).T)


@pytest.mark.parametrize(("grid", "old"), [((), (24, 8)), (("weights_grid=[32, 6]",), (32, 6))])
def test_as_many_patches_in_another_grid(tmp_path: Path, grid: tuple[str, ...], old: tuple[int, int]) -> None:
    """192 patches are 24x8 of the usual 384x128 pixels unless the recipe says otherwise, not the recipe's own 16x12."""
    size = (old[0] * 16, old[1] * 16)
    source = timm.create_model("vit_tiny_patch16_224", img_size=size, num_classes=0, **SMALL)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    model, told = started(tmp_path / "vit.pth", recipe("height=256", "width=192", *grid))
    assert f"positions resized from {old[0]}x{old[1]} to 16x12 patches" in told
    places = source.pos_embed[:, 1:].detach().reshape(1, *old, 64).permute(0, 3, 1, 2)
    moved = torch.nn.functional.interpolate(places, (16, 12), mode="bilinear")
    torch.testing.assert_close(model.backbone.positions(), moved[0].flatten(1).T)


def test_an_unusual_size_is_the_recipes(tmp_path: Path) -> None:
    source = timm.create_model("vit_tiny_patch16_224", img_size=(160, 48), num_classes=0, **SMALL)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    model, told = started(tmp_path / "vit.pth", recipe("height=160", "width=48"))
    assert "resized" not in told
    assert_same(model, source, (160, 48))


def test_which_of_several_networks_is_said(vit: torch.nn.Module, tmp_path: Path) -> None:
    state = vit.state_dict()
    torch.save({"model": {name: value + 1 for name, value in state.items()}, "model_ema": state}, tmp_path / "two.pth")
    model, told = started(tmp_path / "two.pth", recipe())
    assert told.startswith(f"the network starts from {tmp_path / 'two.pth'}, 'model_ema' of it; left out")
    assert_same(model, vit)


def test_weights_that_are_no_numbers(vit: torch.nn.Module, tmp_path: Path) -> None:
    source = saved(tmp_path / "ours", recipe())
    with torch.no_grad():
        source.backbone.cls_token.fill_(torch.nan)
    save_checkpoint(tmp_path / "ours", source, recipe(), {name: list(known) for name, known in LABELS.items()})
    with pytest.raises(WeightsError, match=r"ours: backbone\.cls_token contains NaN or Inf"):
        started(tmp_path / "ours", recipe())
    torch.save({name: value.to(torch.int8) for name, value in vit.state_dict().items()}, tmp_path / "int8.pth")
    with pytest.raises(WeightsError, match=r"int8\.pth: backbone\.cls_token is int8"):
        started(tmp_path / "int8.pth", recipe())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ("position=2d", "relative=bias", "sie=both", "jpm={}"),
        ("position_at=every", "relative=keys", "stem=conv", "pool=mean"),
        ("position=none", "stem=resnet"),
    ],
)
def test_a_checkpoint_of_ours(tmp_path: Path, changes: tuple[str, ...]) -> None:
    """On the same persons and cameras nothing is left out, by the checkpoint's folder or by that of its run."""
    source = saved(tmp_path / "run" / "best", recipe(*changes))
    for folder in (tmp_path / "run" / "best", tmp_path / "run"):
        model, told = started(folder, recipe(*changes))
        assert told == f"the network starts from {folder}"
        for name, value in source.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value)
        assert_same(model, source)


def test_a_checkpoint_of_other_persons_and_cameras(tmp_path: Path) -> None:
    source = saved(tmp_path / "ours", recipe("sie=both", "relative=bias"))
    model, told = started(tmp_path / "ours", recipe("sie=both"), OTHERS)
    left = "left out: backbone.sie, necks.0, relative_bias; at random: backbone.sie, necks.0"
    assert told == f"the network starts from {tmp_path / 'ours'}; {left}"
    for name, value in model.state_dict().items():
        if not name.startswith(("necks.", "backbone.sie.")):
            torch.testing.assert_close(value, source.state_dict()[name])


def test_a_checkpoint_at_another_size(tmp_path: Path) -> None:
    saved(tmp_path / "ours", recipe("position=2d", "relative=bias", "jpm={}"))
    larger = recipe("position=2d", "relative=bias", "jpm={}", "height=128", "width=64")
    model, told = started(tmp_path / "ours", larger)
    assert told.endswith("positions resized from 4x2 to 8x4 patches")
    assert features(model, (128, 64)).isfinite().all()


@pytest.mark.slow
def test_resnets_by_the_names_of_timm(tmp_path: Path) -> None:
    source = timm.create_model("resnet18", num_classes=10)
    state = {f"module.{name}": value for name, value in source.state_dict().items() if "num_batches" not in name}
    torch.save({"state_dict": state}, tmp_path / "resnet.pth")
    model, told = started(tmp_path / "resnet.pth", recipe("backbone=resnet18", "options={}"))
    assert told.endswith("left out: fc; at random: necks.0")
    for name, value in source.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(model.backbone.state_dict()[f"resnet.{name}"], value)
    saved(tmp_path / "ours", recipe("backbone=resnet18", "options={}"))
    assert started(tmp_path / "ours", recipe("backbone=resnet18", "options={}"))[1].endswith("ours")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embed_dim": 32}, r"backbone\.cls_token is \(1, 1, 64\) in the file and \(1, 1, 32\) in the network"),
        ({"depth": 3}, r"it has no backbone\.blocks\.2\.norm1\.weight"),
        ({"depth": 1}, r"the network has no backbone\.blocks\.1\."),
        ({"mlp_ratio": 2}, r"mlp\.fc1\.weight is \(256, 64\) in the file and \(128, 64\)"),
        ({"num_heads": 2}, "its attention has 1 heads and the network's has 2"),
        ({"patch_size": 8}, r"patch_embed\.proj\.weight is"),
    ],
)
def test_another_architecture(tmp_path: Path, change: dict[str, int], message: str) -> None:
    saved(tmp_path / "ours", recipe())
    options = ", ".join(f"{key} = {value}" for key, value in (SMALL | change).items())
    model = built(recipe(f"options={{ {options} }}"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        WeightsError, match=f"ours does not fit the recipe: .*{message}.*; set model.backbone"
    ) as caught:
        start_from(model, tmp_path / "ours", size=(64, 32), labels=LABELS)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_another_kind_of_network(vit: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(vit.state_dict(), tmp_path / "vit.pth")
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=r"no backbone\.resnet\.conv1\.weight; .*width 64, depth 2, patches of 16"):
        started(tmp_path / "vit.pth", recipe("backbone=resnet18", "options={}"))
    with pytest.raises(WeightsError, match=r"it has no backbone\.cls_token; .*\(a ResNet\)"):
        started(tmp_path / "resnet.pth", recipe())
    with pytest.raises(WeightsError, match=r"no backbone\.patch_embed\.layers\.0\.weight; .*stem 'patch'"):
        started(tmp_path / "vit.pth", recipe("stem=conv"))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.* is neither 'random' nor 'timm' nor a file or a checkpoint"):
        started(tmp_path / "nowhere", recipe())
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        started(tmp_path, recipe())
