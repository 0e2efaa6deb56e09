"""Two processes train as one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.paths import REPOSITORY
from vitreid.training.distributed import World, check_shareable
from vitreid.training.errors import ConfigError

RECIPE = """
seed = 3
epochs = 2
evaluate_every = 2
threads = 1
losses = { identity = {}, triplet = {}, relation_divergence = { top = 3 } }
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 2, num_heads = 2 }
height = 64
width = 32
relative = "bias"
sie = "camera"
jpm = { roll = 1, groups = 2, parts = 2 }
[data]
identities_per_batch = 4
images_per_identity = 2
workers = 0
[optim]
name = "sgd"
lr = 0.005
warmup_epochs = 0
"""


def train(people: Path, out: Path, processes: int) -> None:
    recipe = out.with_suffix(".toml")
    recipe.write_text(RECIPE)
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "vitreid", "train", str(recipe), "--data", str(people), "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr


@pytest.mark.slow
def test_two_processes_give_the_losses_and_weights_of_one(people: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        train(people, tmp_path / str(processes), processes)
    alone, shared = (tmp_path / str(processes) / "last" for processes in (1, 2))
    histories = [json.loads((each / "metrics.json").read_text())["history"] for each in (alone, shared)]
    for one, other in zip(*histories, strict=True):
        for name in ("loss", "identity", "triplet", "relation_divergence"):
            torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-5)
    weights = [load_file(each / "model.safetensors") for each in (alone, shared)]
    for name, values in weights[0].items():
        torch.testing.assert_close(values, weights[1][name], atol=1e-5, rtol=1e-4, msg=name)


MASKS = """
import sys
from pathlib import Path
import torch
from timm.layers import DropPath
from vitreid.training.config import load_recipe
from vitreid.training.datasets import read_dataset
from vitreid.training.distributed import init_distributed
from vitreid.training.cli.screen import RunScreen
from vitreid.training.reid_task import reid_trainer

recipe, people, out = sys.argv[1:]
drawn = []

def watch(layer, given, found):
    if layer.training:
        drawn[-1].append((found == 0).flatten(1).all(1).tolist())

def trainer(epochs, ranks):
    config = load_recipe(recipe, [f"epochs={epochs}"])
    made = reid_trainer(config, read_dataset("market1501", Path(people)), "people", torch.device("cpu"), ranks)
    for layer in made.task.network.modules():
        if isinstance(layer, DropPath):
            layer.register_forward_hook(watch)
    return made

with init_distributed(torch.device("cpu")) as ranks, RunScreen(Path(out), quiet=True) as screen:
    for again in (False, True):
        drawn.append([])
        run = trainer(2, ranks)
        if again:
            run.resume(Path(out))
        else:
            keep = run._end_epoch
            run._end_epoch = lambda record, *rest: keep(record, *rest) if record["epoch"] == 1 else None
        run.run(Path(out), screen)
    torch.save(drawn, f"{out}-{ranks.rank}.pt")
"""


@pytest.mark.slow
def test_processes_drop_paths_of_their_own(people: Path, tmp_path: Path) -> None:
    """Also after a resume, which draws what the run would have drawn."""
    (tmp_path / "masks.py").write_text(MASKS)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("num_heads = 2", "num_heads = 2, drop_path_rate = 0.5"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(tmp_path / "masks.py"), str(recipe), str(people), str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (first, resumed), (other, other_resumed) = (torch.load(tmp_path / f"run-{rank}.pt") for rank in range(2))
    assert len(first) == 2 * len(resumed) > 0
    assert first != other
    assert resumed != other_resumed
    half = len(resumed)
    assert (resumed, other_resumed) == (first[half:], other[half:])


@pytest.mark.parametrize(
    ("losses", "jpm", "shared"),
    [
        (["identity", "relation_triplet"], True, True),
        (["weighted_triplet"], False, True),
        (["weighted_triplet"], True, False),  # no gradient reaches the JPM
        (["relation_triplet", "relation_divergence"], False, False),
    ],
)
def test_what_processes_can_share(losses: list[str], jpm: bool, shared: bool) -> None:
    if shared:
        check_shareable(2, identities_per_batch=4, losses=losses, jpm=jpm)
        return
    with pytest.raises(ConfigError, match=rf"the losses {', '.join(losses)} leave a part .*add identity or triplet"):
        check_shareable(2, identities_per_batch=4, losses=losses, jpm=jpm)


def test_parts_of_a_batch() -> None:
    assert [World(rank, 4).part(16) for rank in range(4)] == [slice(i, i + 4) for i in (0, 4, 8, 12)]
    assert World().part(5) == slice(0, 5)
