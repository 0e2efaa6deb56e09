"""The training loop: steps, epochs, checkpoints, resume. It knows a Task only, not what is trained.

A resumed run ends exactly as an uninterrupted one: every random draw depends on seed, epoch and position.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vitreid.bundle.atomic import recover
from vitreid.training.config import LoopConfig
from vitreid.training.distributed import SINGLE_PROCESS, World
from vitreid.training.errors import Diverged
from vitreid.training.optim import SCHEDULES, build_optimiser, set_learning_rate
from vitreid.training.precision import PRECISIONS, chosen
from vitreid.training.task import Observer, Progress, Record, Task

logger = logging.getLogger(__name__)
TaskT = TypeVar("TaskT", bound=Task)


class Trainer(Generic[TaskT]):
    """One run of a task: optimiser, moving average and history, all saved in `last/`."""

    def __init__(self, task: TaskT, config: LoopConfig, device: torch.device, world: World = SINGLE_PROCESS) -> None:
        self.task, self.config, self.device, self.world = task, config, device, world
        part = config.optim
        self.optimiser = build_optimiser(task.parameter_groups(), name=part.name, lr=part.lr, momentum=part.momentum)
        self.average = None if part.ema is None else moving_average(task.network, part.ema)
        self._set_precision(chosen(config.precision, device))
        self.history: list[Record] = []

    @property
    def network(self) -> nn.Module:
        """The network that is evaluated and saved in `best/`: the moving average if the recipe has one."""
        return self.task.network if self.average is None else self.average.module

    def run(self, out: Path, observer: Observer) -> Path:
        """Train up to the last epoch; returns `best/`. Saves `last/` after each epoch, `best/` after the best.

        Raises Diverged where loss or weights are no longer finite, DataError for an image that cannot be read, and
        WorkerDied; `last/` then holds the newest complete epoch, which is scored when the run is resumed.
        """
        with self.task.reading():
            if self.world.first and self.history and self._unscored(self.history[-1]):
                self._score(out)
            for epoch in range(len(self.history) + 1, self.config.epochs + 1):
                record = {"epoch": epoch, **self._train_epoch(epoch, observer)}
                if self.world.first:
                    self._end_epoch(record, out, observer)
                self.world.wait()
        return out / "best"

    def resume(self, out: Path) -> None:
        """Continue a run from its `last/`.

        Raises CheckpointError where there is none, or where recipe or data have changed since.
        """
        recover(out / "last")
        saved = self.task.load(out / "last")
        self.task.load_state_dict(saved.state["task"])
        self.optimiser.load_state_dict(saved.state["optimiser"])
        # `auto` stays what it was at the start, also on another device: the scaler's state belongs to it.
        self._set_precision(saved.metrics["precision"])
        self.scaler.load_state_dict(saved.state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(saved.state["average"])
        self.history = list(saved.metrics["history"])

    def _train_epoch(self, epoch: int, observer: Observer) -> dict[str, float]:
        """Take an epoch's steps; returns the mean of each loss and the last learning rate."""
        self.task.learned.train()
        torch.manual_seed(self.world.seed(self.config.seed, epoch))  # dropout; weights were drawn alike by all
        steps, batches = self.task.batches(epoch)
        started, sums = time.perf_counter(), dict[str, float]()
        every = self.config.optim.accumulate
        for step, batch in enumerate(batches, 1):
            lr = self._learning_rate(epoch - 1 + (step - 1) / steps)
            count = min(every, steps - (step - 1) // every * every)  # an epoch may end with fewer batches for a step
            losses = self._backward(batch, count, epoch=epoch, step=step)
            values = {name: value.item() for name, value in losses.items()}
            if not math.isfinite(values["total"]):
                raise Diverged(f"the loss is {values['total']} at step {step} of {steps}", epoch)
            if step % every == 0 or step == steps:
                self._step(lr)
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            passed = time.perf_counter() - started
            left = passed / step * ((self.config.epochs - epoch + 1) * steps - step)
            rate = step * self.task.batch_size / passed
            observer.step(Progress(epoch, self.config.epochs, step, steps, sums["total"] / step, lr, rate, left))
        self._check_finite(epoch)
        means = {name: value / steps for name, value in sums.items()}
        return {"loss": means.pop("total"), **means, "lr": lr, **self.task.monitor()}

    def _backward(self, batch: Any, count: int = 1, *, epoch: int = 1, step: int = 1) -> dict[str, Tensor]:
        """Add the gradients of a batch, one of `count` that make a step, and return its losses."""
        dtype = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32):
            losses = self.task.step(batch, epoch=epoch, step=step)
        scaled = self.scaler.scale(losses["total"] / count)
        scaled.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return losses

    def _step(self, lr: float) -> None:
        set_learning_rate(self.optimiser, lr)
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            parameters = [each for group in self.optimiser.param_groups for each in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.config.optim.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.task.network)

    def _check_finite(self, epoch: int) -> None:
        if not all(value.isfinite().all() for value in self.task.learned.state_dict().values()):
            raise Diverged("the weights contain NaN or Inf after the last step", epoch)

    def _set_precision(self, precision: str) -> None:
        self.precision = precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

    def _learning_rate(self, epoch: float) -> float:
        part = self.config.optim
        schedule: Callable[..., float] = SCHEDULES[part.schedule]
        return schedule(
            epoch,
            lr=part.lr,
            epochs=self.config.epochs,
            warmup_epochs=part.warmup_epochs,
            warmup_lr_ratio=part.warmup_lr_ratio,
            min_lr_ratio=part.min_lr_ratio,
            falls=part.falls,
        )

    def _end_epoch(self, record: Record, out: Path, observer: Observer) -> None:
        """Save an epoch, then score it where it is due: an error while scoring loses no epoch."""
        if warning := self.task.warning(self.history, record):
            logger.warning(warning)
        self.history.append(record)
        unscored = self._unscored(record)
        self._save(out, final=not unscored)
        if unscored:
            self._score(out)
        observer.epoch(record)

    def _unscored(self, record: Record) -> bool:
        names = self.task.score_names
        due = record["epoch"] % self.config.evaluate_every == 0 or record["epoch"] == self.config.epochs
        return due and bool(names) and names[0] not in record

    def _score(self, out: Path) -> None:
        self.history[-1] |= self.task.evaluate(self.network)
        self._save(out)

    def _best(self) -> Record:
        """The epoch with the highest first score, the latest of equals; the last one where nothing was scored."""
        name = self.task.score_names[0] if self.task.score_names else "epoch"
        return max(self.history, key=lambda record: (record.get(name, -1.0), record["epoch"]))

    def _save(self, out: Path, *, final: bool = True) -> None:
        """Write `last/`, and `best/` where the epoch is the best; one that is not `final` is still to be scored."""
        record = self.history[-1]
        metrics = {
            "precision": self.precision,
            "device": self.device.type,
            "epoch": record["epoch"],
            "scores": {name: record[name] for name in self.task.score_names if name in record},
            "history": self.history,
        }
        state = {
            "task": self.task.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if final and record is self._best():
            self.task.save(out / "best", self.network, metrics)
        # last/ comes after best/: a run that dies in between repeats the epoch and writes the same best/ again.
        self.task.save(out / "last", self.task.network, metrics, state)


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Build the exponential moving average of a network: `decay` (0..1) of it stays per update; the first copies."""
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]  # torch has no types there
    average.eval()
    return average
