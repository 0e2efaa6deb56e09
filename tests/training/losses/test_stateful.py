"""A loss with a parameter and a buffer trains, is saved, resumes, and is the same in two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.paths import REPOSITORY
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import read_dataset
from vitreid.training.distributed import SINGLE_PROCESS, World, init_distributed
from vitreid.training.errors import ConfigError
from vitreid.training.loop import Trainer
from vitreid.training.losses import BRANCH_LOSSES, LossBatch, LossSizes, TotalLoss
from vitreid.training.losses.interface import Share
from vitreid.training.reid_task import ReIDTask, reid_trainer

CPU = torch.device("cpu")


class CentreLoss(nn.Module):
    """Squared distance to class centres, moving averages of the features, times a learned scale."""

    centres: Tensor

    def __init__(self, sizes: LossSizes, *, decay: Share = 0.5) -> None:
        super().__init__()
        self.decay = decay
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("centres", torch.zeros(sizes.identities, sizes.dimension))

    def forward(self, batch: LossBatch) -> Tensor:
        features = batch.branch.features.float()
        value = self.scale.square() * (features - self.centres[batch.identities]).square().mean()
        with torch.no_grad():
            for index in batch.identities.unique():
                mean = features[batch.identities == index].mean(0)
                self.centres[index] = self.decay * self.centres[index] + (1 - self.decay) * mean
        return value


class Observer:
    def __init__(self, interrupt: int | None = None) -> None:
        self.interrupt = interrupt

    def step(self, progress: Any) -> None:
        if progress.epoch == self.interrupt:
            raise KeyboardInterrupt

    def epoch(self, record: dict[str, Any]) -> None:
        assert record["centre"] > 0


@pytest.fixture
def with_centres(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(BRANCH_LOSSES, "centre", CentreLoss)
    still = config.model.model_copy(update={"options": {"embed_dim": 24, "depth": 1, "num_heads": 2}})
    return config.model_copy(update={"losses": {"identity": {}, "centre": {"weight": 0.1}}, "model": still})


def trainer(config: TrainConfig, people: Path, world: World = SINGLE_PROCESS) -> Trainer[ReIDTask]:
    return reid_trainer(config, read_dataset("market1501", people), "people", CPU, world)


def test_its_state_trains_and_resumes(with_centres: TrainConfig, people: Path, tmp_path: Path) -> None:
    whole = trainer(with_centres, people)
    whole.run(tmp_path / "whole", Observer())
    state = whole.task.losses.state_dict()
    assert state["terms.centre.0.scale"] != 1
    assert state["terms.centre.0.centres"].abs().sum(1).all()

    with pytest.raises(KeyboardInterrupt):
        trainer(with_centres, people).run(tmp_path / "parts", Observer(interrupt=3))
    resumed = trainer(with_centres, people)
    resumed.resume(tmp_path / "parts")
    assert len(resumed.history) == 2
    resumed.run(tmp_path / "parts", Observer())
    assert resumed.history == whole.history
    for name, value in resumed.task.losses.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def test_a_module_exists_once_per_branch_and_its_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BRANCH_LOSSES, "centre", CentreLoss)
    total = TotalLoss({"centre": {"decay": 0.9}}, LossSizes(identities=3, dimension=4, branches=2))
    assert len(list(total.parameters())) == 2
    with pytest.raises(ConfigError, match=r"losses\.centre has no option 'speed'; take from weight, decay"):
        TotalLoss({"centre": {"speed": 1.0}})
    with pytest.raises(ConfigError, match=r"losses\.centre\.decay = 2\.0"):
        TotalLoss({"centre": {"decay": 2.0}})


@pytest.mark.slow
def test_two_processes_have_the_state_of_one(with_centres: TrainConfig, people: Path, tmp_path: Path) -> None:
    alone = trainer(with_centres, people)
    alone.run(tmp_path / "one", Observer())
    (tmp_path / "recipe.json").write_text(with_centres.model_dump_json())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, str(tmp_path), str(people)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in alone.task.losses.state_dict().items():
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)
        torch.testing.assert_close(first[name], value, rtol=1e-3, atol=1e-4)


if __name__ == "__main__":
    folder, data = map(Path, sys.argv[1:])
    BRANCH_LOSSES["centre"] = CentreLoss
    recipe = TrainConfig.model_validate_json((folder / "recipe.json").read_text())
    with init_distributed(CPU) as ranks:
        run = trainer(recipe, data, ranks)
        run.run(folder / "two", Observer())
        torch.save(run.task.losses.state_dict(), folder / f"{ranks.rank}.pt")
