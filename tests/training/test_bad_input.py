"""`vitreid train` with what it cannot use: one line says what, where and what to do, and nothing there is lost."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vitreid import cli
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.cli.screen import RunScreen

RECIPE = """
epochs = 2
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 1, num_heads = 2 }
height = 64
width = 32
[data]
identities_per_batch = 4
images_per_identity = 2
workers = 0
[augment]
pad = 4
"""
DEEP = "model.options={ embed_dim = 24, depth = 2, num_heads = 2 }"

Train = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def train(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Run the command with changes of the recipe; gives its exit code and what it said, without the epochs."""
    (tmp_path / "recipe.toml").write_text(RECIPE)

    def run(
        *changes: str, data: Path = people, out: str = "run", options: tuple[str, ...] = ()
    ) -> tuple[int, list[str]]:
        arguments = [
            "train",
            str(tmp_path / "recipe.toml"),
            "--data",
            str(data),
            "--out",
            str(tmp_path / out),
            *options,
        ]
        capsys.readouterr()
        code = cli.run(arguments + [word for change in changes for word in ("--set", change)])
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        return code, [line for line in lines if not line.startswith(("epoch ", "training "))]

    return run


def refused(said: tuple[int, list[str]], *words: str) -> None:
    """One line, with these words in it, after the notes where there are any."""
    code, lines = said
    [line] = [each for each in lines if not each.startswith("note: ")]
    assert code == 2
    assert line.startswith("vitreid: ")
    for word in words:
        assert word in line, line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["optim.learning_rate=1"], ["optim.learning_rate = 1", "allowed here: name, lr"]),
        (["model.stride=17"], ["stride 17 must lie between 1 and the patch size 16"]),
        (["model.stride=0"], ["model.stride = 0", "greater than or equal to 1"]),
        (["model.stem=conv", "model.stride=8"], ["model.stride = 8 is for the stem 'patch'"]),
        (
            ["data.identities_per_batch=9"],
            ["data.identities_per_batch = 9", "has 8 persons", "--set data.identities_per_batch=8"],
        ),
        (["losses.relation_divergence.top=99"], ["top = 99; an image has 8 patches"]),
        (
            ["losses={ triplet = {} }", "optim.backbone_lr_mult=0"],
            [
                "the losses triplet have no gradient for anything that may learn",
                "add identity",
                "optim.backbone_lr_mult",
            ],
        ),
        (["losses.triplet.margin=wide"], ["losses.triplet.margin = 'wide'"]),
        (["model.weights=nowhere.pth"], ["model.weights = 'nowhere.pth'", "--set model.weights=PATH"]),
    ],
)
def test_recipes(train: Train, tmp_path: Path, changes: list[str], words: list[str]) -> None:
    refused(train(*changes), *words)
    assert not (tmp_path / "run").exists()


def test_where_nothing_can_be_written(train: Train, tmp_path: Path) -> None:
    refused(train(out="recipe.toml/run"), "recipe.toml is no folder that can be written to", "choose another --out")
    board = ("--tensorboard", str(tmp_path / "recipe.toml"))
    refused(train(options=board), "--tensorboard", "recipe.toml cannot be written (File exists)")


def test_a_person_with_one_image_trains(train: Train, people: Path, tmp_path: Path) -> None:
    shutil.copytree(people, tmp_path / "data")
    next((tmp_path / "data" / "bounding_box_train").glob("0003_c2*")).unlink()
    code, lines = train("epochs=1", data=tmp_path / "data")
    assert code == 0
    assert lines == [
        "note: 1 of 8 persons have one image: they come as 2 copies of it, and no triplet pulls those together"
    ]


def test_one_camera_only(train: Train, people: Path, tmp_path: Path) -> None:
    shutil.copytree(people, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*_c2*"):
        path.unlink()
    refused(train(data=tmp_path / "data"), "none of the 4 queries", "by another camera", "vitreid data check")
    shutil.rmtree(tmp_path / "data" / "query")
    code, lines = train("epochs=1", "model.sie=camera", data=tmp_path / "data")
    assert code == 0
    assert "note: all training images are by one camera, c1: nothing is learned across cameras" in lines
    assert "note: model.sie = 'camera' has no effect: the training images tell 1 camera" in lines


def kept(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_checkpoints_of_another_architecture(train: Train, tmp_path: Path) -> None:
    assert train("epochs=1")[0] == 0
    before = kept(tmp_path / "run")
    resumed = ("--resume",)
    refused(train("epochs=1", DEEP, options=resumed), "started differently (model.options.depth)", "another --out")
    refused(train("epochs=1", "model.stem=conv", options=resumed), "started differently (model.stem)")
    refused(train("epochs=1", out="other", options=resumed), "other holds no run to resume", "--resume")
    weights = f"model.weights={tmp_path / 'run'}"
    refused(
        train(weights, DEEP, out="other"), "run does not fit the recipe: it has no backbone.blocks.1.", "'depth': 1"
    )
    refused(
        train(weights, "model.backbone=resnet18", "model.options={}", out="other"), "no backbone.resnet.conv1.weight"
    )
    assert not (tmp_path / "other").exists()
    code, lines = train(weights, "epochs=1", "model.height=128", out="other")
    assert code == 0
    assert lines == [f"note: the network starts from {tmp_path / 'run'}; positions resized from 4x2 to 8x2 patches"]
    assert kept(tmp_path / "run") == before
    (tmp_path / "run" / "last" / "model.safetensors").write_bytes(b"cut off")
    refused(train("epochs=1", options=resumed), "model.safetensors is damaged")


class Spoilt:
    """Does something to the run at a step, as its screen hears of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.act = (0, 0), lambda: None
        step = RunScreen.step

        def spoilt(screen: RunScreen, progress: Any) -> None:
            step(screen, progress)
            if (progress.epoch, progress.step) == self.at:
                self.act()

        monkeypatch.setattr(RunScreen, "step", spoilt)


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> Spoilt:
    return Spoilt(monkeypatch)


def assert_good_after_one_epoch(run: Path) -> None:
    """The first epoch is there, whole, and the run goes on from it."""
    assert sorted(path.name for path in run.iterdir()) == ["best", "last"]
    last = Checkpoint.open(run / "last")
    assert last.metrics["epoch"] == 1
    assert all(value.isfinite().all() for value in last.load_model().state_dict().values())


def test_a_loss_that_is_no_number(train: Train, tmp_path: Path) -> None:
    told = ("the loss is nan at step 2 of 2 in epoch 1", "no epoch has ended before", "lower optim.lr")
    refused(train("optim.lr=1e30"), *told)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_after_a_good_epoch(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitreid.training.losses import TotalLoss

    steps, forward = iter(range(100)), TotalLoss.forward

    def infinite_in_the_second_epoch(losses: TotalLoss, batch: Any) -> dict[str, torch.Tensor]:
        found = forward(losses, batch)
        return found if next(steps) < 2 else found | {"total": found["total"] * torch.inf}

    monkeypatch.setattr(TotalLoss, "forward", infinite_in_the_second_epoch)
    refused(train(), "the loss is inf at step 1 of 2 in epoch 2", "epoch 1 is kept in last/")
    assert_good_after_one_epoch(tmp_path / "run")


def test_a_disk_that_fills(train: Train, spoilt: Spoilt, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # no file grows beyond a kilobyte any more

    spoilt.at, spoilt.act = (2, 1), fill
    try:
        said = train(options=("--tensorboard", str(tmp_path / "board")))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # at once: the file that the tests report to has a size, too
    refused(said, "cannot be written (", "File too large", "what was there before is kept", "--resume")
    assert_good_after_one_epoch(tmp_path / "run")


@pytest.mark.slow
def test_a_worker_that_dies(train: Train, spoilt: Spoilt, tmp_path: Path) -> None:
    def kill() -> None:
        [worker] = multiprocessing.active_children()
        worker.kill()

    spoilt.at, spoilt.act = (2, 1), kill
    changes = ("data.workers=1", "data.samples_per_epoch=160")
    refused(train(*changes), "DataLoader worker", "go on with --resume", "data.workers=N")
    assert_good_after_one_epoch(tmp_path / "run")
    spoilt.at = (0, 0)
    assert train(*changes, "data.workers=0", options=("--resume",))[0] == 0
    assert Checkpoint.open(tmp_path / "run" / "last").metrics["epoch"] == 2
