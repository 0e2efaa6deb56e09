"""The loop: batches to steps, epochs to checkpoints. An interrupted run goes on as if nothing had happened."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from vitreid.bundle.atomic import recover
from vitreid.training.backbones import fuse_attention
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.collapse import collapse_told, variances
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import Split, hold_out
from vitreid.training.datasets.remarks import check_trainable
from vitreid.training.distributed import SINGLE_PROCESS, World, check_shareable
from vitreid.training.errors import CheckpointError, ConfigError, Diverged
from vitreid.training.evaluation.embed import Embedder, evaluate, model_run
from vitreid.training.loader import Batch, epoch_loader
from vitreid.training.losses import RELATION_LOSSES, TOKEN_LOSSES, LossBatch, total_loss
from vitreid.training.model import ReIDModel, build_model
from vitreid.training.optim import build_optimiser, freeze, moving_average, set_learning_rate
from vitreid.training.precision import PRECISIONS, chosen
from vitreid.training.pretrained.load import Started, begin, check_frozen
from vitreid.training.pretrained.pixels import with_published_pixels
from vitreid.training.progress import Observer, Progress
from vitreid.training.records import best_of, changes, origin
from vitreid.training.schedules import SCHEDULES
from vitreid.training.side_labels import side_notes

logger = logging.getLogger(__name__)
FREE = ("threads", "data.workers", "data.cache")  # what may differ when a run goes on, say on another machine
AT_RANDOM = (
    "what is frozen of the backbone stays at random values, since model.weights is 'random'; "
    "start from a file with --set model.weights=FILE"
)
Losses = Callable[[Sequence[LossBatch]], dict[str, Tensor]]


class Trainer:
    """One run: its network, optimiser and history, all of which `last/` keeps."""

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        data: str,
        device: torch.device,
        ranks: World = SINGLE_PROCESS,
        *,
        fresh: bool = True,
    ) -> None:
        """A run that is not `fresh` gets its weights from `resume`, so those that it began with need not be there.

        Raises ConfigError or DataError where recipe and data do not fit.
        """
        config, self.notes = with_published_pixels(config)
        jpm = config.model.jpm
        if ranks.count > 1:
            check_shareable(
                ranks.count,
                identities_per_batch=config.data.identities_per_batch,
                losses=config.losses,
                jpm=jpm is not None,
            )
        if config.data.holdout_persons:
            split = hold_out(split, config.data.holdout_persons, config.seed)
        check_trainable(split, data)
        torch.manual_seed(config.seed)
        self.config, self.split, self.device, self.ranks = config, split, device, ranks
        self.persons, self.cameras, self.views = split.train_persons(), split.train_cameras(), split.train_views()
        self.losses: Losses = total_loss(config.losses, jpm=jpm.reduction if jpm else "paper")
        self.model = self._network(fresh)
        tested = (*split.query, *split.gallery)
        self.notes += side_notes(config.model.sie, tested, cameras=self.cameras, views=self.views)
        self.variances = self._variances()  # before training
        self.backbone: nn.Module = self.model.backbone
        if ranks.count > 1 and any(parameter.requires_grad for parameter in self.backbone.parameters()):
            self.backbone = DistributedDataParallel(self.backbone)
        self.optimiser = self._optimiser()
        self.average = None if config.optim.ema is None else moving_average(self.model, config.optim.ema)
        self._compute_in(chosen(config.precision, device))
        self.loader = epoch_loader(config, split, ranks.part)
        self.history: list[dict[str, Any]] = []
        self.about = origin(config, split, data)

    def run(self, out: Path, observer: Observer) -> Checkpoint:
        """Train up to the recipe's last epoch, saving `last/` after each and `best/` where the scores are the best.

        Raises Diverged where loss or weights are no longer finite, DataError for an image that cannot be read, and
        WorkerDied; `last/` then holds the newest epoch that ended, which is scored when the run goes on.
        """
        with self.loader.working():
            if self.ranks.first and self.history and self._unscored(self.history[-1]):
                self._score(out)
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
        free = (*FREE, "precision") if self.config.precision == "auto" else FREE
        changed = [key for key in changes(checkpoint.config.model_dump(), self.config.model_dump()) if key not in free]
        if changed or checkpoint.metrics["data"] != self.about["data"]:
            what = ", ".join(changed) or "the data set"
            raise CheckpointError(
                f"{out} was started differently ({what}); use another --out or the same recipe and data"
            )
        self.model.load_state_dict(checkpoint.load_model().state_dict())
        state = checkpoint.load_state()
        self.variances = state.get("variances", self.variances)  # of before training; older runs did not keep them
        self.optimiser.load_state_dict(state["optimiser"])
        # `auto` stays what it was at the start, also on another device, which the scaler's state belongs to.
        self._compute_in(checkpoint.metrics.get("precision", checkpoint.config.precision))
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.history = list(checkpoint.metrics["history"])

    def _train_epoch(self, epoch: int, observer: Observer) -> dict[str, float]:
        """Take an epoch's steps; returns the mean of each loss and the last rate."""
        self.model.train()
        torch.manual_seed(self.ranks.seed(self.config.seed, epoch))  # of dropout; the weights are drawn alike by all
        steps, batches = self.loader.epoch(epoch)
        started, sums = time.perf_counter(), dict[str, float]()
        every = self.config.optim.accumulate
        for step, batch in enumerate(batches, 1):
            lr = self._rate(epoch - 1 + (step - 1) / steps)
            together = min(every, steps - (step - 1) // every * every)  # an epoch may end with fewer batches for a step
            values = {name: value.item() for name, value in self._backward(batch, together).items()}
            if not math.isfinite(values["total"]):
                raise Diverged(f"the loss is {values['total']} at step {step} of {steps}", epoch)
            if step % every == 0 or step == steps:
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

    def _backward(self, batch: Batch, together: int = 1) -> dict[str, Tensor]:
        """The losses of a batch, one of those that make a step `together`, to whose gradients it adds its own."""
        batch = Batch(*(part.to(self.device, non_blocking=True) for part in batch))
        images = batch.images.contiguous(memory_format=torch.channels_last)
        dtype = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32):
            seen = self.backbone(images, batch.cameras, batch.views)
            tokens = not TOKEN_LOSSES.keys().isdisjoint(self.config.losses)
            output = self.model.output(self.ranks.gathered(seen, tokens=tokens))
        persons, sources = self.ranks.whole(batch.persons), self.ranks.whole(batch.sources)
        losses = self.losses([LossBatch(branch, persons, sources, output.tokens) for branch in output.branches])
        if not losses["total"].requires_grad:
            raise ConfigError(
                f"the losses {', '.join(self.config.losses)} reach nothing that may learn; add identity to them, or "
                "raise optim.backbone_lr_mult or lower optim.frozen_blocks"
            )
        scaled = self.scaler.scale(losses["total"] / together)
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

    def _network(self, fresh: bool) -> ReIDModel:
        labels = {"persons": self.persons, "cameras": self.cameras, "views": self.views}
        sizes = {name: len(learned) for name, learned in labels.items()}
        built = build_model(self.config, **sizes, pretrained=fresh)
        part = self.config.model
        size, grid = (part.height, part.width), part.weights_grid
        started = begin(built, part.weights, size=size, labels=labels, grid=grid) if fresh else Started()
        self.notes += [started.note] if started.note else []
        built.to(self.device)
        built.to(memory_format=torch.channels_last)  # convolutions on a CPU are 1.6 times as fast
        if self.device.type == "cpu":
            fuse_attention(built, False)
        elif self.ranks.count > 1:
            built.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(built.backbone)  # type: ignore[no-untyped-call]  # torch has no types there
        optim = self.config.optim
        freeze(built, blocks=optim.frozen_blocks, backbone=optim.backbone_lr_mult == 0)
        check_frozen(built, started.at_random, part.weights)
        if fresh and part.weights == "random" and (optim.frozen_blocks or optim.backbone_lr_mult == 0):
            self.notes.append(AT_RANDOM)
        return built

    def _compute_in(self, precision: str) -> None:
        self.precision = precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

    def _variances(self) -> dict[str, float]:
        """Of places, where a loss on relations needs them to differ."""
        if not RELATION_LOSSES & self.config.losses.keys():
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
            decay_bias_and_norm=part.decay_bias_and_norm,
            bias_lr_mult=part.bias_lr_mult,
            backbone_lr_mult=part.backbone_lr_mult,
        )

    def _rate(self, epoch: float) -> float:
        part = self.config.optim
        return SCHEDULES[part.schedule](
            epoch,
            lr=part.lr,
            epochs=self.config.epochs,
            warmup_epochs=part.warmup_epochs,
            warmup_lr_ratio=part.warmup_lr_ratio,
            min_lr_ratio=part.min_lr_ratio,
            falls=part.falls,
        )

    def _scores(self) -> dict[str, float]:
        run = model_run(self.shown, self.device)
        scores = evaluate(self.split, Embedder(run, self.config.model.image, self.cameras, self.views))
        return {name: value for name, value in scores.summary().items() if name in ("mAP", "rank1", "mINP")}

    def _conclude(self, record: dict[str, Any], out: Path, observer: Observer) -> None:
        """Save an epoch, and then score it where it is time for that: a score that fails costs no epoch."""
        if told := collapse_told(self.variances, self.history, record):
            logger.warning(told)
        self.history.append(record)
        unscored = self._unscored(record)
        self._save(out, final=not unscored)
        if unscored:
            self._score(out)
        observer.epoch(record)

    def _unscored(self, record: dict[str, Any]) -> bool:
        due = record["epoch"] % self.config.evaluate_every == 0 or record["epoch"] == self.config.epochs
        return due and "mAP" not in record and bool(self.split.query and self.split.gallery)

    def _score(self, out: Path) -> None:
        self.history[-1] |= self._scores()
        self._save(out)

    def _save(self, out: Path, *, final: bool = True) -> None:
        """Write `last/`, and `best/` where the epoch is the best; one that is not `final` is still to be scored."""
        record = self.history[-1]
        metrics = {
            **self.about,
            "precision": self.precision,
            "device": self.device.type,
            "epoch": record["epoch"],
            "scores": {name: record[name] for name in ("mAP", "rank1", "mINP") if name in record},
            "history": self.history,
        }
        state = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "variances": self.variances,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if final and record is best_of(self.history):
            save_checkpoint(out / "best", self.shown, self.config, metrics)
        # last/ comes after best/: a run that dies in between repeats the epoch and writes the same best/ again.
        save_checkpoint(out / "last", self.model, self.config, metrics, state)
