"""The loop trains another task: a line through points, without images, identities or recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitreid.training.config import LoopConfig, OptimConfig
from vitreid.training.errors import Diverged
from vitreid.training.loop import Trainer
from vitreid.training.task import Record, Saved

CONFIG = LoopConfig(epochs=4, evaluate_every=2, optim=OptimConfig(lr=0.1, warmup_epochs=0, ema=0.5))


class Line:
    """Least squares; scored by how near the slope is to 2."""

    batch_size = 8
    score_names = ("nearness",)

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = self.learned = nn.Linear(1, 1)
        self.seen = 0
        self.files: dict[Path, Any] = {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.network.parameters()), "weight_decay": 0.0, "lr": 0.1, "lr_factor": 1.0}]

    def batches(self, epoch: int) -> tuple[int, Iterator[Tensor]]:
        random = torch.Generator().manual_seed(epoch)
        return 5, iter(torch.randn(5, self.batch_size, 1, generator=random))

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def step(self, batch: Tensor, *, epoch: int, step: int) -> dict[str, Tensor]:
        self.seen += len(batch)
        error = (self.network(batch) - 2 * batch).square().mean()
        return {"error": error, "total": error}

    def monitor(self) -> dict[str, float]:
        return {"seen": float(self.seen)}

    def warning(self, history: Sequence[Record], record: Record) -> str | None:
        return None

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        return {"nearness": -abs(network.weight.item() - 2)}

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]

    def save(
        self, path: Path, network: nn.Module, metrics: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save((network.state_dict(), dict(metrics), state), path)

    def load(self, path: Path) -> Saved:
        weights, metrics, state = torch.load(path, weights_only=True)
        self.network.load_state_dict(weights)
        return Saved(metrics, state)


class Observer:
    def __init__(self, interrupt: int | None = None) -> None:
        self.interrupt = interrupt

    def step(self, progress: Any) -> None:
        if progress.epoch == self.interrupt:
            raise KeyboardInterrupt

    def epoch(self, record: Record) -> None: ...


def test_another_task_is_trained_scored_and_resumed(tmp_path: Path) -> None:
    whole = Trainer(Line(), CONFIG, torch.device("cpu"))
    best = whole.run(tmp_path / "whole", Observer())
    assert [record["seen"] for record in whole.history] == [40, 80, 120, 160]
    assert ["nearness" in record for record in whole.history] == [False, True, False, True]
    assert whole.history[-1]["nearness"] > -0.2
    assert torch.load(best)[1]["epoch"] == 4
    with pytest.raises(KeyboardInterrupt):
        Trainer(Line(), CONFIG, torch.device("cpu")).run(tmp_path / "parts", Observer(interrupt=3))
    resumed = Trainer(Line(), CONFIG, torch.device("cpu"))
    resumed.resume(tmp_path / "parts")
    resumed.run(tmp_path / "parts", Observer())
    assert resumed.history == whole.history


def test_another_task_that_diverges_is_refused(tmp_path: Path) -> None:
    task = Line()
    run = Trainer(task, CONFIG, torch.device("cpu"))
    nn.init.constant_(task.network.weight, torch.nan)
    with pytest.raises(Diverged, match="the loss is nan at step 1 of 5 in epoch 1"):
        run.run(tmp_path / "run", Observer())
