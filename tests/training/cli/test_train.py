"""The training commands as processes: Ctrl-C saves what was done, and the next command resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vitreid import cli

RECIPE = """
epochs = 40
evaluate_every = 40
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 1, num_heads = 2 }
height = 64
width = 32
[data]
identities_per_batch = 4
images_per_identity = 2
samples_per_epoch = 64
workers = 0
[augment]
pad = 4
"""


@pytest.mark.slow
def test_ctrl_c_keeps_the_epochs_and_resume_goes_on(people: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    out = tmp_path / "run"
    command = [sys.executable, "-m", "vitreid", "train", str(tmp_path / "recipe.toml"), "--data", str(people)]
    command += ["--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2 "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    [printed] = [line for line in rest.splitlines() if line.startswith("vitreid: ")]
    assert "--resume" in printed
    assert "Traceback" not in rest
    kept = json.loads((out / "last" / "metrics.json").read_text())["epoch"]
    assert kept >= 2
    assert not [path for path in out.iterdir() if path.name.endswith(".tmp")]

    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True, env=environment)
    lines = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert lines[0].startswith(f"epoch {kept + 1} ")
    assert lines[-1].startswith("epoch 40 ")
    assert all(word in lines[0] for word in ("loss", "lr", "images/s", "left"))
    history = json.loads((out / "last" / "metrics.json").read_text())["history"]
    assert [record["epoch"] for record in history] == list(range(1, 41))


@pytest.mark.parametrize("arguments", [["--set", "data.identities_per_batch=50"], ["--set", "model.backbone=resnet50"]])
def test_recipes_that_do_not_fit_leave_nothing_behind(
    arguments: list[str], people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    out = tmp_path / "run"
    options = ["--data", str(people), "--out", str(out), *arguments]
    assert cli.run(["train", str(tmp_path / "recipe.toml"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vitreid: ")
    assert error.count("\n") == 1
    assert not out.exists()


def test_evaluating_data_without_queries(
    people: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bounding_box_test").symlink_to(people / "bounding_box_test")
    assert cli.run(["evaluate", str(tiny_bundle), "--data", str(tmp_path)]) == 2
    assert "has no query images" in capsys.readouterr().err


def test_evaluating_queries_of_strangers(
    people: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bounding_box_test").symlink_to(people / "bounding_box_train")
    (tmp_path / "query").symlink_to(people / "query")
    assert cli.run(["evaluate", str(tiny_bundle), "--data", str(tmp_path)]) == 2
    assert "none of the 8 queries has an image of its person" in capsys.readouterr().err


@pytest.mark.slow
def test_curves_rank_lists_and_tensorboard(people: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(RECIPE)
    out = str(tmp_path / "run")
    board = str(tmp_path / "board")
    command = ["train", str(tmp_path / "small.toml"), "--data", str(people), "--out", out, "--tensorboard", board]
    assert cli.run([*command, "--set", "epochs=1"]) == 0
    assert list((tmp_path / "board").glob("events.*"))
    assert cli.run(["curves", out, "--out", str(tmp_path / "curves.png")]) == 0
    evaluating = ["evaluate", out, "--data", str(people), "--rank-lists"]
    assert cli.run([*evaluating, str(tmp_path / "lists.png")]) == 0
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "lists.png").stat().st_size > 1000
    assert cli.run(["curves", out, "--out", str(tmp_path / "curves.txt")]) == 2
    assert cli.run([*evaluating, str(tmp_path / "nowhere" / "lists.png")]) == 2


def test_wrong_outputs_and_models_are_reported_before_anything_is_embedded(
    people: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluating = ["evaluate", str(tiny_bundle), "--data", str(people)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitreid.training.evaluation.embed.embed_split", None)
        assert cli.run([*evaluating, "--rank-lists", str(tmp_path / "lists.jpg")]) == 2
        assert cli.run([*evaluating, "--compare", str(tmp_path)]) == 2
    lists, compared = capsys.readouterr().err.splitlines()
    assert "lists.jpg must be a file named *.png" in lists
    assert "is not a checkpoint" in compared


def test_training_on_two_data_sets_and_scoring_on_a_third(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for name in ("one", "two", "three"):
        shutil.copytree(people, tmp_path / name)
    command = ["train", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run"), "--set", "epochs=1"]
    command += ["--set", "model.sie=camera", "--set", "data.identities_per_batch=12"]
    command += ["--data", str(tmp_path / "one"), "--data", f"market1501={tmp_path / 'two'}"]
    assert cli.run([*command, "--test", f"market1501={tmp_path / 'three'}"]) == 0
    metrics = json.loads((tmp_path / "run" / "best" / "metrics.json").read_text())
    assert len(metrics["persons"]) == 16
    assert metrics["cameras"] == ["one/c1", "one/c2", "two/c1", "two/c2"]
    assert metrics["data"]["name"] == "one+two, tested on three"
    assert (metrics["data"]["dataset"], metrics["data"]["query"]) == ("market1501+market1501", 8)
    assert 0 < metrics["scores"]["mAP"] <= 1
    capsys.readouterr()

    scores = []
    for name, *options in (("one",), ("three",), ("one", "--other-cameras"), ("two",)):
        assert cli.run(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / name), *options, "--json"]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    sides = [printed.pop("sides", None) for printed in scores]
    assert scores[1] == scores[2]  # the same images, by cameras that were not learned
    assert sides[1]["cameras"]["known"] == []  # a warning where it was not said
    assert sides[2] is None


def test_what_is_odd_about_the_data_is_reported_before_the_first_step(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "data").mkdir()
    shutil.copytree(people / "bounding_box_train", tmp_path / "data" / "bounding_box_train")
    for path in (tmp_path / "data" / "bounding_box_train").glob("*_c2*"):
        path.unlink()
    options = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--set", "epochs=1"]
    assert (
        cli.run(
            ["train", str(tmp_path / "recipe.toml"), *options, "--set", "model.sie=camera", "--set", "precision=fp16"]
        )
        == 0
    )
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert [line.split()[1] for line in notes] == ["8", "all", "model.sie", "there", "fp16"]


def test_a_test_that_held_back_persons_would_replace_is_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[data]", "[data]\nholdout_persons = 2"))
    command = ["train", str(tmp_path / "recipe.toml"), "--data", str(people), "--out", str(tmp_path / "run")]
    command += ["--set", "epochs=1", "--set", "evaluate_every=1"]
    assert cli.run([*command, "--test", str(people)]) == 2
    printed = capsys.readouterr().err
    assert "--test " in printed
    assert printed.endswith("leave --test out, or give --set data.holdout_persons=0\n")
    assert not (tmp_path / "run").exists()
    assert cli.run([*command, "--test", str(people), "--set", "data.holdout_persons=0"]) == 0
