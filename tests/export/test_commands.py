"""`vitreid export onnx` and `vitreid export verify` in other precisions: one run from end to end, and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import Result

from tests.commands import vitreid
from vitreid.bundle import Bundle, BundleError, ImageError
from vitreid.export.errors import ExportError, PrecisionError
from vitreid.export.parity_runtimes import REFERENCE
from vitreid.synthetic import draw_dataset
from vitreid.training.checkpoint import save_checkpoint
from vitreid.training.config import parse_config
from vitreid.training.errors import DataError
from vitreid.training.model import build_model

RECIPE = """
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 2, num_heads = 2 }
height = 64
width = 32
sie = "camera"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights that knows the two cameras of `people`."""
    torch.manual_seed(0)
    config = parse_config(RECIPE, (), "test")
    model = build_model(config, persons=3, cameras=2)
    folder = tmp_path_factory.mktemp("runs") / "trained"
    save_checkpoint(folder, model, config, {"persons": ["a", "b", "c"], "cameras": ["c1", "c2"]})
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "people"
    draw_dataset(folder, identities=10, cameras=2, images=2, seed=0, workers=1)
    return folder


@pytest.fixture(autouse=True)
def _only_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runtimes have their own tests, and take their time."""
    monkeypatch.setattr("vitreid.export.parity_runtimes.PARITY_RUNTIMES", (REFERENCE,))


def export(*arguments: Any) -> Result:
    return vitreid("export", *arguments)


@pytest.mark.slow
def test_from_a_checkpoint_to_a_bundle_that_is_tried_again(trained: Path, people: Path, tmp_path: Path) -> None:
    done = export(
        "onnx", trained, "--out", tmp_path / "bundle", "--precision", "int8-static", "--calibration", people,
        "--data", people, "--max-map-loss", 1, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    message = json.loads(done.stdout)
    bundle = Bundle.open(tmp_path / "bundle")
    manifest = bundle.manifest
    assert message["precision"] == manifest.precision == "int8-static"
    assert message["parity"] == [manifest.parity[0].model_dump()]
    assert manifest.cameras == ("c1", "c2")
    assert manifest.source["calibration_images"] == 40
    parity = manifest.parity[0]
    assert parity.precision == "int8-static"
    assert 0.99 <= parity.min_corrected_cosine <= parity.min_cosine <= parity.mean_cosine <= 1 + 1e-6
    assert parity.scores is not None
    assert (parity.scores.data, parity.scores.queries) == ("people", 20)

    bundle = bundle.extend(parity=())
    again = export("verify", bundle.path, "--checkpoint", trained, "--images", people, "--record")
    assert again.exit_code == 0, again.output
    assert "in int8-static against torch on 40 images: largest difference" in again.output
    recorded = Bundle.open(bundle.path).manifest
    assert recorded.bundle_id == manifest.bundle_id
    assert recorded.parity == (parity.model_copy(update={"scores": None}),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("--precision int4", PrecisionError, "unknown precision 'int4'; take one of fp32, fp16, int8, int8-static"),
        ("--precision int8-static", PrecisionError, "at least 32 images such as it will see, not on 0"),
        ("--precision int8-static --calibration EMPTY", ExportError, "holds no images"),
        ("--precision int8-static --calibration FEW", PrecisionError, "not on 1; name a folder of them by"),
        ("--precision int8-static --calibration BROKEN", ImageError, "broken.jpg"),
        ("--calibration FEW", PrecisionError, "fp32 is not calibrated on images; leave --calibration out"),
        ("--opset 19 --data EMPTY --images FEW", ExportError, "opset 19 is not supported; take one of 18, 23"),
        ("--data EMPTY --images FEW", DataError, "EMPTY"),
        ("--data FEW --dataset mars", DataError, "there is no data set 'mars'; take one of market1501"),
        (
            "--precision int8 --min-cosine 1",
            ExportError,
            r"is too far .*: corrected cosine 0.99\d+ \(at least 1.0 needed",
        ),
    ],
)
def test_what_is_refused(trained: Path, tmp_path: Path, options: str, error: type[Exception], message: str) -> None:
    for name in ("EMPTY", "FEW", "BROKEN"):
        (tmp_path / name).mkdir()
        options = options.replace(name, str(tmp_path / name))
    Image.new("RGB", (20, 50)).save(tmp_path / "FEW" / "one.png")
    (tmp_path / "BROKEN" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(error, match=message) as caught:
        raised(export("onnx", trained, "--out", tmp_path / "bundle", *options.split()))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()


def test_another_folder_is_reported_before_anything_is_searched(trained: Path, people: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="exists and is not a bundle; choose another folder"):
        raised(export("onnx", trained, "--out", tmp_path, "--images", people, "--data", tmp_path / "empty"))


@pytest.mark.parametrize("options", ["--data PEOPLE", "--record", "--min-cosine 1", "--max-map-loss 0"])
def test_comparisons_need_the_model(tiny_bundle: Path, people: Path, options: str) -> None:
    done = export("verify", tiny_bundle, *options.replace("PEOPLE", str(people)).split())
    assert done.exit_code == 2
    assert "--checkpoint" in done.output


@pytest.mark.slow
def test_a_loss_needs_data(trained: Path, tmp_path: Path) -> None:
    done = export("onnx", trained, "--out", tmp_path / "bundle", "--max-map-loss", 0.1)
    assert done.exit_code == 2
    assert "--data" in done.output
    assert not (tmp_path / "bundle").exists()


def test_a_precision_made_up_by_hand(tiny_bundle: Path, tmp_path: Path) -> None:
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    copy = tmp_path / "bundle"
    copy.mkdir()
    (copy / "model.onnx").write_bytes((tiny_bundle / "model.onnx").read_bytes())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"precision": "int3"}))
    with pytest.raises(BundleError, match=r"manifest\.json is not valid: precision: String should match"):
        raised(export("verify", copy))


def raised(done: Result) -> None:
    """Raise what the command raised; it catches nothing itself."""
    assert done.exception is not None
    raise done.exception
