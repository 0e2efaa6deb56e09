"""The variance of what the network knows of places, and the line that says that it has gone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitreid.training.checkpoint import Checkpoint
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import read_dataset
from vitreid.training.loop import Trainer
from vitreid.training.losses.collapse import collapse_warning, variances
from vitreid.training.reid_task import ReIDTask, reid_trainer


def test_variances() -> None:
    places, biases = torch.randn(6, 3), torch.randn(2, 6, 6)
    found = variances(places, biases)
    assert found["position_variance"] == pytest.approx(np.var(places.numpy(), axis=0, ddof=1).mean(), rel=1e-5)
    each = [np.var(one.numpy(), ddof=1) for one in biases]
    assert found["bias_variance"] == pytest.approx(np.mean(each), rel=1e-5)
    assert variances(places, None).keys() == {"position_variance"}
    assert variances(None, None) == {}
    constant = variances(torch.randn(1, 3).expand(6, 3), torch.randn(2, 1, 1).expand(2, 6, 6))
    assert all(value == pytest.approx(0, abs=1e-12) for value in constant.values())


def test_a_collapse_is_reported_once() -> None:
    start = {"position_variance": 2.0, "bias_variance": 1.0}
    values = [(2.5, 0.5), (0.019, 0.2), (0.5, 0.2), (0.01, 0.009), (0.0, 0.0)]
    history: list[dict[str, float]] = []
    told = []
    for epoch, (position, bias) in enumerate(values, 1):
        record = {"epoch": epoch, "position_variance": position, "bias_variance": bias}
        told.append(collapse_warning(start, history, record))
        history.append(record)
    assert [bool(line) for line in told] == [False, True, False, True, False]
    assert "epoch 2: " in str(told[1])
    assert "left in the position embedding (0.95%), so" in str(told[1])
    assert "left in the relative position bias (0.90%), so" in str(told[3])
    assert all(line is None or "\n" not in line for line in told)


class Flattener:
    """Hears of a run; from a step on it makes every place alike."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.trainer: Trainer[ReIDTask] | None = None

    def step(self, progress: Any) -> None:
        if progress.epoch >= self.at and self.trainer is not None:
            with torch.no_grad():
                self.trainer.task.network.backbone.position.embeddings[0].pos_embed.fill_(0.5)

    def epoch(self, record: dict[str, Any]) -> None:
        pass


def test_a_run_notes_the_variances_and_warns(
    config: TrainConfig, people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = config.model.model_copy(update={"relative": "bias"})
    losses = {"identity": {}, "triplet": {}, "relation_divergence": {"top": 3}}
    config = config.model_copy(update={"model": model, "losses": losses})
    observer = Flattener(at=2)
    run = observer.trainer = reid_trainer(config, read_dataset("market1501", people), "people", torch.device("cpu"))
    with caplog.at_level(logging.WARNING, "training"):
        run.run(tmp_path / "run", observer)
    history = Checkpoint.open(tmp_path / "run" / "last").metrics["history"]
    assert [record["position_variance"] < 1e-6 for record in history] == [False, True, True]
    assert all(record["bias_variance"] > 1e-5 for record in history)
    [warned] = caplog.messages
    assert warned.startswith("epoch 2: of the variance before training")

    again = reid_trainer(config, run.task.split, "people", torch.device("cpu"))
    again.resume(tmp_path / "run")
    assert again.task.start_variances == run.task.start_variances


def test_other_losses_have_no_such_values(config: TrainConfig, people: Path) -> None:
    run = reid_trainer(config, read_dataset("market1501", people), "people", torch.device("cpu"))
    assert run.task.start_variances == {}
