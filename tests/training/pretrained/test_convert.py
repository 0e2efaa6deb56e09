"""Published files: the numbers of TransReID's own code, and the layouts of other families made here."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.paths import optional_folder
from tests.training.pretrained.transreid import as_transreid
from vitreid import cli
from vitreid.training.backbones import build_vit
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.config import parse_config
from vitreid.training.errors import ConfigError, WeightsError
from vitreid.training.model import ReIDModel, ReIDOutput, build_model
from vitreid.training.pretrained.convert import import_weights

SMALL: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 1}


PUBLISHED_CASES = ("baseline", "jpm_sie_stride12", "sie_cam_view")


def concatenated(output: ReIDOutput, side: str) -> np.ndarray:
    whole, *local = (getattr(branch, side) for branch in output.branches)
    return torch.cat([whole, *(part / len(local) for part in local)], dim=1).numpy()


@pytest.mark.parametrize("case", PUBLISHED_CASES)
def test_the_published_code_gives_the_same_numbers(case: str, tmp_path: Path) -> None:
    folder = optional_folder("TRANSREID_FIXTURES")
    numbers = np.load(folder / f"{case}.npz")
    known = {name: int(numbers[f"{name}_count"]) for name in ("camera", "view")}
    imported = import_weights(
        folder / f"{case}.pth",
        tmp_path / "imported",
        size=numbers["images"].shape[2:],
        stride=int(numbers["stride"]),
        cameras=known["camera"],
        views=known["view"],
    )
    assert not imported.missing
    assert bool(imported.shape.parts) == bool(numbers["jpm"])
    model = imported.checkpoint.load_model()
    with torch.inference_mode():
        output = model(*(torch.from_numpy(numbers[name]) for name in ("images", "camera", "view")))
    logits = np.stack([branch.logits.numpy() for branch in output.branches])
    np.testing.assert_allclose(logits, numbers["logits"], atol=1e-4)
    np.testing.assert_allclose(concatenated(output, "features"), numbers["feature_before_bn"], atol=1e-4)
    np.testing.assert_allclose(concatenated(output, "bn_features"), numbers["feature_after_bn"], atol=1e-4)


@pytest.fixture
def backbone() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", num_classes=10, **SMALL)


@pytest.mark.parametrize(
    ("prefix", "wrapper"), [("", "model"), ("module.backbone.", "teacher"), ("module.", "state_dict")]
)
def test_backbones_alone(backbone: torch.nn.Module, tmp_path: Path, prefix: str, wrapper: str) -> None:
    """timm, DeiT and DINO: at the size of the file it is the same network; the classifier of ImageNet is dropped."""
    file = tmp_path / "weights.pth"
    state = {prefix + name: value for name, value in backbone.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3, "args": Namespace(arch="vit_small")}, file)
    imported = import_weights(file, tmp_path / "out")
    assert (imported.shape.size, imported.shape.persons, imported.missing) == ((224, 224), 0, ())
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        found = imported.checkpoint.load_model()(images).branches[0].features
        expected = backbone.eval().forward_head(backbone.forward_features(images), pre_logits=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert {name.removeprefix(prefix) for name in imported.dropped} == {"head.weight", "head.bias"}


def vehicles(roll: int = 4, groups: int = 2, sie_scale: float = 3.0) -> tuple[ReIDModel, dict[str, torch.Tensor]]:
    """A model of 6 cameras, 8 views and a JPM, and its state as TransReID saves it: a row for each of the 48."""
    text = f"""
    [model]
    options = {{ embed_dim = 64, depth = 2, num_heads = 1 }}
    sie = "both"
    sie_scale = {sie_scale}
    jpm = {{ roll = {roll}, groups = {groups} }}
    """
    torch.manual_seed(1)
    model = build_model(parse_config(text, (), "test"), persons=3, cameras=6, views=8).eval()
    torch.nn.init.normal_(model.backbone.get_parameter("sie.sie_embed"))
    state = as_transreid(model)
    return model, state | {"base.sie_embed": state["base.sie_embed"].reshape(48, 1, 64)}


def assert_same(found: ReIDModel, expected: ReIDModel) -> None:
    images, camera, view = torch.randn(2, 3, 256, 128), torch.tensor([0, 5]), torch.tensor([7, 1])
    with torch.inference_mode():
        torch.testing.assert_close(
            torch.cat(found.backbone(images, camera, view).all, 1),
            torch.cat(expected.backbone(images, camera, view).all, 1),
            atol=1e-5,
            rtol=1e-5,
        )


@pytest.mark.slow
@pytest.mark.parametrize("stated", [{"roll": 7}, {"roll": 0, "groups": 1}, {"sie_scale": 1.5}])
def test_what_a_file_cannot_tell_is_stated(tmp_path: Path, stated: dict[str, Any]) -> None:
    """Shift 8 of the settings for vehicles, no rearrangement, another weight of side information."""
    model, state = vehicles(**stated)
    torch.save(state, tmp_path / "veri.pth")
    imported = import_weights(tmp_path / "veri.pth", tmp_path / "out", cameras=6, views=8, **stated)
    assert_same(imported.checkpoint.load_model(), model)
    assert imported.assumed.keys().isdisjoint(stated)
    assert imported.checkpoint.metrics["imported"]["assumed"].keys() == imported.assumed.keys()


def test_cameras_and_views_have_the_names_of_the_readers(tmp_path: Path) -> None:
    """Camera c3 is the third row, as its number in a file name less 1; a view is its own number in the file."""
    torch.save(vehicles()[1], tmp_path / "veri.pth")
    checkpoint = import_weights(tmp_path / "veri.pth", tmp_path / "out", cameras=6, views=8).checkpoint
    assert checkpoint.cameras == ("c1", "c2", "c3", "c4", "c5", "c6")
    assert checkpoint.views == tuple("01234567")


def test_every_assumption_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": vehicles()[1], "model_ema": vehicles()[1]}, tmp_path / "veri.pth")
    command = ["import-weights", str(tmp_path / "veri.pth"), "--out"]
    assert cli.run([*command, str(tmp_path / "out"), "--json"]) == 0
    expected = {
        "key": "model_ema",
        "grid": [16, 8],
        "stride": 16,
        "heads": 1,
        "qk_scale": 0.125,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "resize": "bicubic",
        "bnneck": "before",
        "pool": "cls",
        "cameras": 48,
        "sie_scale": 3.0,
        "roll": 4,
        "groups": 2,
    }
    assert json.loads(capsys.readouterr().out)["assumed"] == expected
    assert Checkpoint.open(tmp_path / "out").metrics["imported"]["assumed"] == expected
    options = (
        "--key model --grid 16x8 --stride 16 --heads 1 --qk-scale .125 --imagenet --resize bilinear --after-bnneck"
    )
    options += " --pool cls --cameras 6 --views 8 --sie-scale 3 --roll 4"
    assert cli.run([*command, str(tmp_path / "all"), *options.split()]) == 0
    [_, line] = capsys.readouterr().out.splitlines()
    assert line == "assumed, where the file does not say: groups 2 (--groups)"


def test_values_that_reach_the_checkpoint(backbone: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(backbone.state_dict(), tmp_path / "vit.pth")
    stated: dict[str, Any] = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.1), "resize": "bilinear", "pool": "cls_gem"}
    part = import_weights(tmp_path / "vit.pth", tmp_path / "out", **stated).checkpoint.config.model
    assert stated == {name: getattr(part, name) for name in stated}
    assert part.image.resize == "bilinear"


def test_the_scale_of_attention_of_the_first_small_vit(tmp_path: Path) -> None:
    """TransReID's own ViT-S, after timm's of 2020: no biases of queries, and 1 / sqrt(width) for every head."""
    options = SMALL | {"num_heads": 2, "qkv_bias": False}
    source = timm.create_model("vit_tiny_patch16_224", img_size=(64, 32), num_classes=0, **options).eval()
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    for block in source.blocks:
        block.attn.scale, block.attn.fused_attn = 64**-0.5, False
    stated: dict[str, Any] = {"heads": 2, "qk_scale": 64**-0.5}
    model = import_weights(tmp_path / "vit.pth", tmp_path / "out", **stated).checkpoint.load_model()
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model.backbone(images).global_feature, source(images), atol=1e-5, rtol=1e-5)


def test_options_that_tensors_tell(tmp_path: Path) -> None:
    options = SMALL | {"qkv_bias": False, "init_values": 0.1, "qk_norm": True, "pre_norm": True}
    source = timm.create_model("vit_tiny_patch16_224", img_size=(64, 32), num_classes=0, **options).eval()
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    model = import_weights(tmp_path / "vit.pth", tmp_path / "out").checkpoint.load_model()
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model.backbone(images).global_feature, source(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("stated", "error", "message"),
    [
        ({"roll": 7}, WeightsError, r"--roll is for the parts of a JPM, but .*vit\.pth has none"),
        ({"sie_scale": 1.0}, WeightsError, "--sie-scale is for side information, but"),
        ({"key": "teacher"}, WeightsError, "has no network 'teacher'"),
        ({"grid": (3, 5)}, WeightsError, "196 patches of 16 pixels, not 3x5; give .* --grid ROWSxCOLUMNS"),
        ({"pool": "gem"}, ConfigError, "model.pool = 'gem': Input should be 'cls', "),
        ({"std": (0.0, 1.0, 1.0)}, ConfigError, "model.std.0 = 0.0: Input should be greater than 0"),
        ({"std": (58.4, 57.1, 57.4)}, ConfigError, "model.std.0 = 58.4: Input should be less than or equal to 1"),
        ({"mean": (124.0, 116.0, 103.0)}, ConfigError, "model.mean.0 = 124.0: Input should be less than or equal to 1"),
        ({"qk_scale": math.nan}, ConfigError, "--qk-scale nan must be a finite number above 0"),
        ({"qk_scale": 0.0}, ConfigError, "--qk-scale 0.0 must be"),
        ({"qk_scale": -0.125}, ConfigError, "--qk-scale -0.125 must be"),
    ],
)
def test_values_that_a_file_has_no_use_for(
    backbone: torch.nn.Module, tmp_path: Path, stated: dict[str, Any], error: type[Exception], message: str
) -> None:
    torch.save(backbone.state_dict(), tmp_path / "vit.pth")
    with pytest.raises(error, match=message):
        import_weights(tmp_path / "vit.pth", tmp_path / "out", **stated)
    assert not (tmp_path / "out").exists()


def test_the_grid_of_the_file_is_not_that_of_the_images(tmp_path: Path) -> None:
    """As many patches in another grid are another grid: 24x8 of 384x128 pixels are resized for 256x192."""
    source = timm.create_model("vit_tiny_patch16_224", img_size=(384, 128), num_classes=0, **SMALL)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    places = source.pos_embed[:, 1:].detach().reshape(1, 24, 8, 64).permute(0, 3, 1, 2)
    moved = torch.nn.functional.interpolate(places, (16, 12), mode="bilinear")[0].flatten(1).T
    imported = import_weights(tmp_path / "vit.pth", tmp_path / "out", size=(256, 192))
    torch.testing.assert_close(imported.checkpoint.load_model().backbone.positions(), moved)
    assert imported.assumed["grid"] == (24, 8)
    same = import_weights(tmp_path / "vit.pth", tmp_path / "same", size=(256, 192), grid=(16, 12))
    torch.testing.assert_close(same.checkpoint.load_model().backbone.positions(), source.pos_embed[0, 1:])


def test_positions_are_resized(backbone: torch.nn.Module, tmp_path: Path) -> None:
    save_file(backbone.state_dict(), tmp_path / "weights.safetensors")
    imported = import_weights(tmp_path / "weights.safetensors", tmp_path / "out", size=(256, 128))
    places = imported.checkpoint.load_model().backbone.positions()
    old = backbone.pos_embed[:, 1:].detach().reshape(1, 14, 14, 64).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(old, (16, 8), mode="bilinear").permute(0, 2, 3, 1).reshape(128, 64)
    torch.testing.assert_close(places, expected)


def test_distilled_models_have_one_slot_less(backbone: torch.nn.Module, tmp_path: Path) -> None:
    state = dict(backbone.state_dict())
    state["dist_token"] = torch.zeros(1, 1, 64)
    state["pos_embed"] = torch.cat(
        [state["pos_embed"][:, :1], torch.full((1, 1, 64), 9.0), state["pos_embed"][:, 1:]], 1
    )
    torch.save(state, tmp_path / "deit.pth")
    model = import_weights(tmp_path / "deit.pth", tmp_path / "out").checkpoint.load_model()
    torch.testing.assert_close(model.backbone.positions(), backbone.state_dict()["pos_embed"][0, 1:])


def test_the_ics_stem_is_recognised(tmp_path: Path) -> None:
    vit = build_vit("vit_tiny_patch16_224", size=(256, 128), stem="ics", options=SMALL)
    ours = vit.state_dict()
    theirs = {name.replace("position.embeddings.0.", ""): value for name, value in ours.items()}
    torch.save({"base." + name: value for name, value in theirs.items()}, tmp_path / "ssl.pth")
    imported = import_weights(tmp_path / "ssl.pth", tmp_path / "out")
    assert (imported.shape.stem, imported.shape.size, imported.shape.stride) == ("ics", (256, 128), 16)
    images = torch.randn(1, 3, 256, 128)
    found = imported.checkpoint.load_model()(images).branches[0].features
    torch.testing.assert_close(found, vit.eval()(images).global_feature)


def test_what_is_missing_is_listed_and_refused(backbone: torch.nn.Module, tmp_path: Path) -> None:
    state = dict(backbone.state_dict())
    del state["blocks.1.norm1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"no weights for backbone\.blocks\.1\.norm1\.weight; use --partial"):
        import_weights(tmp_path / "part.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    imported = import_weights(tmp_path / "part.pth", tmp_path / "out", partial=True)
    assert imported.missing == ("backbone.blocks.1.norm1.weight",)


def test_what_fits_nowhere_is_listed_and_refused(backbone: torch.nn.Module, tmp_path: Path) -> None:
    odd = {"extra.weight": torch.zeros(1), "blocks.1.foo": torch.zeros(2), "norm.weight": torch.zeros(3)}
    torch.save(dict(backbone.state_dict()) | odd, tmp_path / "odd.pth")
    told = (
        r"fit nowhere: backbone\.extra\.weight, backbone\.blocks\.1\.foo and has weights of another size: "
        r"backbone\.norm\.weight is \(3,\) in the file and \(64,\) in the network; use --partial"
    )
    with pytest.raises(WeightsError, match=told):
        import_weights(tmp_path / "odd.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    imported = import_weights(tmp_path / "odd.pth", tmp_path / "out", partial=True)
    assert imported.missing == ("backbone.norm.weight",)
    assert set(imported.dropped) >= {"backbone.extra.weight", "backbone.blocks.1.foo", "backbone.norm.weight"}
    assert torch.equal(imported.checkpoint.load_model().backbone.get_parameter("norm.weight"), torch.ones(64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra.weight": torch.zeros(1)}, r"fit nowhere: backbone\.extra\.weight"),
        ({"sie_embed": torch.zeros(6, 1, 64)}, "5 cameras and 0 views need 5 rows"),
        ({"norm.weight": torch.zeros(3)}, r"backbone\.norm\.weight is \(3,\) in the file and \(64,\)"),
        ({"pos_embed": torch.zeros(1, 100, 64)}, "positions for 99 patches"),
        ({"cls_token": torch.zeros(1, 1, 0)}, "names of a Vision Transformer and other dimensions"),
        ({"patch_embed.proj.weight": torch.zeros(64, 0)}, "names of a Vision Transformer and other dimensions"),
        ({"patch_embed.proj.weight": torch.zeros(64, 3, 0, 0)}, "names of a Vision Transformer and other dimensions"),
    ],
)
def test_what_does_not_fit(
    backbone: torch.nn.Module, tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    torch.save(dict(backbone.state_dict()) | change, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=message):
        import_weights(tmp_path / "odd.pth", tmp_path / "out", cameras=5 if "sie_embed" in change else None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "is not a file of weights that can be read safely"),
        ({"epoch": 3}, "holds no tensors"),
        ({"conv1.weight": torch.zeros(1)}, "no class token"),
        ({"cls_token": torch.zeros(1, 1, 64)}, "another architecture"),
    ],
)
def test_what_is_no_vit(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "other.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(WeightsError, match=message) as caught:
        import_weights(file, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_the_command(backbone: torch.nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(backbone.state_dict(), tmp_path / "vit.pth")
    command = ["import-weights", str(tmp_path / "vit.pth"), "--out", str(tmp_path / "out"), "--json"]
    assert cli.run([*command, "--height", "256", "--width", "128", "--imagenet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["width"], told["size"], told["missing"], told["assumed"]["grid"]) == (64, "256x128", [], [14, 14])
    assert cli.run(command) == 2  # the folder is taken
    for wrong in (["--imagenet", "--mean", "0", "0", "0"], ["--grid", "16"], ["--height", "256"]):
        assert cli.run([*command[:3], str(tmp_path / "new"), *wrong]) == 2
    capsys.readouterr()
    assert cli.run([*command[:3], str(tmp_path / "new"), "--height", "10", "--width", "64"]) == 2
    assert "model.height = 10: Input should be greater than or equal to 16" in capsys.readouterr().err
