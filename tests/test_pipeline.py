"""From images to answers by the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.served_scores import compare
from vitreid import cli
from vitreid.bundle import Bundle

RECIPE = """
epochs = 8
evaluate_every = 4
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 48, depth = 2, num_heads = 3 }
pool = "mean"
sie = "camera"
stem = "conv"
height = 64
width = 32
bnneck = "after"
[data]
identities_per_batch = 8
images_per_identity = 4
samples_per_epoch = 480
workers = 0
cache = true
[augment]
pad = 3
[optim]
name = "adamw"
lr = 2e-3
weight_decay = 0.05
warmup_epochs = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def people(folder: Path) -> Path:
    options = ["--identities", "44", "--train", "32", "--cameras", "3", "--images", "2", "--seed", "8"]
    assert cli.run(["synth", str(folder / "people"), *options]) == 0
    return folder / "people"


@pytest.fixture(scope="module")
def run(folder: Path, people: Path) -> Path:
    (folder / "recipe.toml").write_text(RECIPE)
    assert cli.run(["train", str(folder / "recipe.toml"), "--data", str(people), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def bundle(folder: Path, people: Path, run: Path) -> Path:
    images = ["--images", str(people / "query")]
    assert cli.run(["export", "onnx", str(run), "--out", str(folder / "bundle"), *images]) == 0
    assert cli.run(["export", "verify", str(folder / "bundle"), "--checkpoint", str(run), *images]) == 0
    return folder / "bundle"


def scores(path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    capsys.readouterr()
    assert cli.run(["evaluate", str(path), "--data", str(people), "--json"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow
def test_the_bundle_scores_as_its_checkpoint(
    people: Path, run: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, exported = (scores(path, people, capsys) for path in (run, bundle))
    assert exported["mAP"] == pytest.approx(checkpoint["mAP"], abs=1e-4)
    assert exported["mAP"] > 0.25  # 72 queries among 12 persons; chance is about 0.1
    manifest = Bundle.open(bundle).manifest
    assert manifest.parity[0].images == 36
    assert manifest.cameras == ("c1", "c2", "c3")


@pytest.mark.slow
def test_the_service_ranks_as_the_evaluation_says(people: Path, bundle: Path) -> None:
    result = compare(bundle, people)
    assert result["mAP_difference"] <= 1e-3
    assert result["served"]["rank1"] == pytest.approx(result["evaluated"]["rank1"], abs=1e-9)
    assert result["served"]["queries"] == result["evaluated"]["queries"] == 36


def test_a_second_index_run_adds_nothing(
    folder: Path, people: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["index", str(people / "bounding_box_test"), "--gallery", str(folder / "gallery"), "--json"]
    added = []
    for _ in range(2):
        capsys.readouterr()
        assert cli.run([*command, "--bundle", str(bundle)]) == 0
        added.append(json.loads(capsys.readouterr().out)["added"])
    assert added == [36, 0]


def test_a_gallery_refuses_another_model(
    folder: Path, people: Path, bundle: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, gallery = str(people / "query"), str(folder / "other")
    assert cli.run(["index", images, "--gallery", gallery, "--bundle", str(bundle)]) == 0
    capsys.readouterr()
    assert cli.run(["index", images, "--gallery", gallery, "--bundle", str(tiny_bundle)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vitreid: ")
    assert error.count("\n") == 1
    assert Bundle.open(bundle).manifest.bundle_id[:8] in error
