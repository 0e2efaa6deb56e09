"""The loop: batches to steps, epochs to checkpoints. An interrupted run goes on as if nothing had happened."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from bundle import ImageSpec
from bundle.files import recover
from training.backbones import fuse_attention
from training.checkpoint import Checkpoint, build_model, save_checkpoint
from training.collapse import collapse_told, variances
from training.config import TrainConfig
from training.datasets import Split, hold_out
from training.datasets.remarks import check_trainable
from training.errors import CheckpointError, ConfigError, Diverged
from training.evaluate import Embedder, evaluate, model_run
from training.loader import Batch, EpochLoader, TrainImages
from training.losses import ON_RELATIONS, LossInputs, total_loss
from training.model import ReIDModel
from training.optim import build_optimiser, freeze, moving_average, set_learning_rate
from training.ranks import ALONE, Ranks
from training.records import best_of, changes, origin
from training.sampler import PKSampler
from training.schedules import SCHEDULES
from training.starting import start_from

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
logger = logging.getLogger(__name__)
FREE = ("threads", "data.workers", "data.cache")  # what may differ when a run goes on, say on another machine
Losses = Callable[[Sequence[LossInputs]], dict[str, Tensor]]


@dataclass(frozen=True)
class Progress:
    """Where a run stands: epochs from 1, steps within the epoch, and how long the rest will take."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    images_per_s: float
    left_s: float


class Observer(Protocol):
    """Hears of every step and every epoch of a run."""

    def step(self, progress: Progress) -> None:
        """A step was taken."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended and was saved; the record holds its number, mean losses, rate and any scores."""


class Trainer:
    """One run: its network, optimiser and history, all of which `last/` keeps."""

    def __init__(
        self, config: TrainConfig, split: Split, data: str, device: torch.device, ranks: Ranks = ALONE
    ) -> None:
        """Raises ConfigError or DataError where recipe and data do not fit."""
        if config.data.persons % ranks.count:
            raise ConfigError(f"data.persons = {config.data.persons} cannot be shared by {ranks.count} processes")
        if config.data.holdout_persons:
            split = hold_out(split, config.data.holdout_persons, config.seed)
        check_trainable(split, data)
        torch.manual_seed(config.seed)
        self.config, self.split, self.device, self.ranks = config, split, device, ranks
        self.persons, self.cameras, self.views = split.train_persons(), split.train_cameras(), split.train_views()
        jigsaw = config.model.jigsaw
        self.losses: Losses = total_loss(config.losses, jigsaw=jigsaw.total if jigsaw else "paper")
        self.notes: list[str] = []
        self.model = self._network()
        self.variances = self._variances()  # before training, also where a run goes on
        self.backbone: nn.Module = self.model.backbone
        if ranks.count > 1:
            self.backbone = DistributedDataParallel(self.model.backbone)
        self.optimiser = self._optimiser()
        self.average = None if config.optim.ema is None else moving_average(self.model, config.optim.ema)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.spec = ImageSpec(height=config.model.height, width=config.model.width)
        self.loader = _loader(config, split, self.spec, ranks)
        self.history: list[dict[str, Any]] = []
        self.about = origin(config, split, data)

    def run(self, out: Path, observer: Observer) -> Checkpoint:
        """Train up to the recipe's last epoch, saving `last/` after each and `best/` where the scores are the best.

        Raises Diverged where loss or weights are no longer finite, DataError for a picture that cannot be read, and
        WorkerDied; `last/` then holds the epoch before.
        """
        with self.loader.working():
            for epoch in range(len(self.history) + 1, self.config.epochs + 1):
                record = {"epoch": epoch, **self._train_epoch(epoch, observer)}
                if self.ranks.first:
                    self._conclude(record, out, observer)
                self.ranks.wait()
        return Checkpoint.open(out / "best")

    def resume(self, out: Path) -> None:
        """Continue a run from its `last/`.

        Raises CheckpointError where there is none, or where recipe or data have changed since.
        """
        recover(out / "last")
        checkpoint = Checkpoint.open(out / "last")
        changed = [key for key in changes(checkpoint.config.model_dump(), self.config.model_dump()) if key not in FREE]
        if changed or checkpoint.metrics["data"] != self.about["data"]:
            what = ", ".join(changed) or "the data set"
            raise CheckpointError(
                f"{out} was started differently ({what}); use another --out or the same recipe and data"
            )
        self.model.load_state_dict(checkpoint.load_model().state_dict())
        state = checkpoint.load_state()
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        self.history = list(checkpoint.metrics["history"])

    def _train_epoch(self, epoch: int, observer: Observer) -> dict[str, float]:
        """Take an epoch's steps; returns the mean of each loss and the last rate."""
        self.model.train()
        steps, started, sums = len(self.loader), time.perf_counter(), dict[str, float]()
        for step, batch in enumerate(self.loader.epoch(epoch), 1):
            lr = self._rate(epoch - 1 + (step - 1) / steps)
            values = {name: value.item() for name, value in self._backward(batch).items()}
            if not math.isfinite(values["total"]):
                raise Diverged(f"the loss is {values['total']} at step {step} of {steps}", epoch)
            if step % self.config.optim.accumulate == 0 or step == steps:
                self._step(lr)
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            passed = time.perf_counter() - started
            left = passed / step * ((self.config.epochs - epoch + 1) * steps - step)
            rate = step * len(batch.images) * self.ranks.count / passed
            observer.step(Progress(epoch, self.config.epochs, step, steps, sums["total"] / step, lr, rate, left))
        if not all(value.isfinite().all() for value in self.model.state_dict().values()):
            raise Diverged("the weights are no numbers any more after the last step", epoch)
        means = {name: value / steps for name, value in sums.items()}
        return {"loss": means.pop("total"), **means, "lr": lr, **self._variances()}

    def _backward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch, whose gradients are added to those that wait for the next step."""
        batch = Batch(*(part.to(self.device, non_blocking=True) for part in batch))
        images = batch.images.contiguous(memory_format=torch.channels_last)
        dtype = PRECISIONS[self.config.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32):
            seen = self.ranks.gathered(self.backbone(images, batch.cameras, batch.views))
            output = self.model.output(seen)
        persons, sources = self.ranks.whole(batch.persons), self.ranks.whole(batch.sources)
        losses = self.losses([LossInputs(branch, persons, sources, output.tokens) for branch in output.branches])
        scaled = self.scaler.scale(losses["total"] / self.config.optim.accumulate)
        scaled.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return losses

    def _step(self, lr: float) -> None:
        set_learning_rate(self.optimiser, lr)
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)

    @property
    def shown(self) -> ReIDModel:
        """The network that is scored and kept: the moving average where the recipe asks for one."""
        if self.average is None:
            return self.model
        average = self.average.module
        assert isinstance(average, ReIDModel)
        return average

    def _network(self) -> ReIDModel:
        labels = {"persons": self.persons, "cameras": self.cameras, "views": self.views}
        built = build_model(self.config, persons=len(self.persons), cameras=len(self.cameras), views=len(self.views))
        part = self.config.model
        if part.weights not in ("random", "timm"):
            size = (part.height, part.width)
            self.notes.append(start_from(built, Path(part.weights), size=size, labels=labels))
        built.to(self.device)
        built.to(memory_format=torch.channels_last)  # convolutions on a CPU are 1.6 times as fast
        if self.device.type == "cpu":
            fuse_attention(built, False)
        elif self.ranks.count > 1:
            built.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(built.backbone)  # type: ignore[no-untyped-call]  # torch has no types there
        optim = self.config.optim
        freeze(built, blocks=optim.frozen_blocks, backbone=optim.backbone_lr == 0)
        return built

    def _variances(self) -> dict[str, float]:
        """Of places, where a loss on relations needs them to differ."""
        if not ON_RELATIONS & self.config.losses.keys():
            return {}
        return variances(self.model.backbone.positions(), self.model.backbone.biases())

    def _optimiser(self) -> Optimizer:
        part = self.config.optim
        return build_optimiser(
            self.model,
            name=part.name,
            lr=part.lr,
            weight_decay=part.weight_decay,
            momentum=part.momentum,
            decay_all=part.decay_all,
            bias_lr=part.bias_lr,
            backbone_lr=part.backbone_lr,
        )

    def _rate(self, epoch: float) -> float:
        part = self.config.optim
        return SCHEDULES[part.schedule](
            epoch,
            lr=part.lr,
            epochs=self.config.epochs,
            warmup_epochs=part.warmup_epochs,
            warmup_start=part.warmup_start,
            final=part.final,
        )

    def _scores(self) -> dict[str, float]:
        if not (self.split.query and self.split.gallery):
            return {}
        run = model_run(self.shown, self.device)
        scores = evaluate(self.split, Embedder(run, self.spec, self.cameras, self.views))
        return {name: value for name, value in scores.summary().items() if name in ("mAP", "rank1", "mINP")}

    def _conclude(self, record: dict[str, Any], out: Path, observer: Observer) -> None:
        """Score an epoch where it is time for that, and save it."""
        if record["epoch"] % self.config.evaluate_every == 0 or record["epoch"] == self.config.epochs:
            record |= self._scores()
        if told := collapse_told(self.variances, self.history, record):
            logger.warning(told)
        self.history.append(record)
        self._save(out)
        observer.epoch(record)

    def _save(self, out: Path) -> None:
        record = self.history[-1]
        metrics = {
            **self.about,
            "epoch": record["epoch"],
            "scores": {name: record[name] for name in ("mAP", "rank1", "mINP") if name in record},
            "history": self.history,
        }
        state = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if record is best_of(self.history):
            save_checkpoint(out / "best", self.shown, self.config, metrics)
        # last/ comes after best/: a run that dies in between repeats the epoch and writes the same best/ again.
        save_checkpoint(out / "last", self.model, self.config, metrics, state)


def _loader(config: TrainConfig, split: Split, spec: ImageSpec, ranks: Ranks) -> EpochLoader:
    labels = split.train_labels()
    images = TrainImages(
        split.train,
        labels,
        spec,
        mean=config.model.mean,
        std=config.model.std,
        augment=config.augment,
        seed=config.seed,
        cache=config.data.cache,
    )
    sampler = PKSampler(
        labels[:, 0].tolist(),
        persons=config.data.persons,
        images_per_person=config.data.images_per_person,
        samples_per_epoch=config.data.samples_per_epoch,
        seed=config.seed,
    )
    return EpochLoader(images, sampler, workers=config.data.workers, part=ranks.part)
