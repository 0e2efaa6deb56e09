"""The loop: batches to steps, epochs to checkpoints. An interrupted run goes on as if nothing had happened."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from bundle import ImageSpec
from bundle.files import recover
from training.backbones import fuse_attention
from training.checkpoint import METRICS, Checkpoint, build_model, save_checkpoint
from training.config import TrainConfig
from training.datasets import Split, hold_out
from training.errors import CheckpointError, ConfigError, DataError, Diverged
from training.evaluate import Embedder, evaluate, model_run
from training.loader import Batch, EpochLoader, TrainImages
from training.losses import LossInputs, total_loss
from training.model import ReIDModel
from training.optim import build_optimiser, freeze, learning_rate, set_learning_rate
from training.sampler import PKSampler

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
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

    def __init__(self, config: TrainConfig, split: Split, data: str, device: torch.device) -> None:
        """Raises ConfigError or DataError where recipe and data do not fit."""
        if not split.train:
            raise DataError(f"{data} has no training pictures; give a data set with a training part")
        if config.data.holdout_persons:
            split = hold_out(split, config.data.holdout_persons, config.seed)
        torch.manual_seed(config.seed)
        self.config, self.split, self.device = config, split, device
        self.persons, self.cameras, self.views = split.train_persons(), split.train_cameras(), split.train_views()
        jigsaw = config.model.jigsaw
        self.losses: Losses = total_loss(config.losses, jigsaw=jigsaw.total if jigsaw else "paper")
        built = build_model(config, persons=len(self.persons), cameras=len(self.cameras), views=len(self.views))
        self.model: ReIDModel = built.to(device)
        self.model.to(memory_format=torch.channels_last)  # convolutions on a CPU are 1.6 times as fast
        if device.type == "cpu":
            fuse_attention(self.model, False)
        part = config.optim
        freeze(self.model, blocks=part.frozen_blocks, backbone=part.backbone_lr == 0)
        self.optimiser: Optimizer = build_optimiser(
            self.model,
            name=part.name,
            lr=part.lr,
            weight_decay=part.weight_decay,
            momentum=part.momentum,
            decay_all=part.decay_all,
            bias_lr=part.bias_lr,
            backbone_lr=part.backbone_lr,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.spec = ImageSpec(height=config.model.height, width=config.model.width)
        self.loader = _loader(config, split, self.spec)
        self.history: list[dict[str, Any]] = []
        self.about = _about(config, split, data)

    def run(self, out: Path, observer: Observer) -> Checkpoint:
        """Train up to the recipe's last epoch, saving `last/` after each and `best/` where the scores are the best.

        Raises Diverged where the loss is no longer finite; `last/` then holds the epoch before.
        """
        for epoch in range(len(self.history) + 1, self.config.epochs + 1):
            record = {"epoch": epoch, **self._train_epoch(epoch, observer)}
            if epoch % self.config.evaluate_every == 0 or epoch == self.config.epochs:
                record |= self._scores()
            self.history.append(record)
            self._save(out)
            observer.epoch(record)
        return Checkpoint.open(out / "best")

    def resume(self, out: Path) -> None:
        """Continue a run from its `last/`.

        Raises CheckpointError where there is none, or where recipe or data have changed since.
        """
        recover(out / "last")
        checkpoint = Checkpoint.open(out / "last")
        changed = [key for key in _changes(checkpoint.config.model_dump(), self.config.model_dump()) if key not in FREE]
        if changed or checkpoint.metrics["data"] != self.about["data"]:
            what = ", ".join(changed) or "the data set"
            raise CheckpointError(
                f"{out} was started differently ({what}); use another --out or the same recipe and data"
            )
        self.model.load_state_dict(checkpoint.load_model().state_dict())
        state = checkpoint.load_state()
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
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
            values = {name: value.item() for name, value in self._step(batch, lr).items()}
            if not torch.isfinite(torch.tensor(values["total"])):
                raise Diverged(
                    f"the loss is {values['total']} in epoch {epoch}, step {step}; the epoch before is kept in last/: "
                    "lower optim.lr, set optim.clip_norm, or take precision = 'fp32'"
                )
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            passed = time.perf_counter() - started
            left = passed / step * ((self.config.epochs - epoch + 1) * steps - step)
            rate = step * len(batch[0]) / passed
            observer.step(Progress(epoch, self.config.epochs, step, steps, sums["total"] / step, lr, rate, left))
        return {"loss": sums.pop("total") / steps, **{name: value / steps for name, value in sums.items()}, "lr": lr}

    def _step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        batch = Batch(*(part.to(self.device, non_blocking=True) for part in batch))
        images = batch.images.contiguous(memory_format=torch.channels_last)
        set_learning_rate(self.optimiser, lr)
        dtype = PRECISIONS[self.config.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype is not torch.float32):
            output = self.model(images, batch.cameras, batch.views)
        losses = self.losses(
            [LossInputs(branch, batch.persons, batch.sources, output.tokens) for branch in output.branches]
        )
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(losses["total"]).backward()  # type: ignore[no-untyped-call]  # torch has no types there
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return losses

    def _rate(self, epoch: float) -> float:
        part = self.config.optim
        return learning_rate(
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
        run = model_run(self.model, self.device)
        scores = evaluate(self.split, Embedder(run, self.spec, self.cameras, self.views))
        return {name: value for name, value in scores.summary().items() if name in ("mAP", "rank1", "mINP")}

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
        if record is _best(self.history):
            save_checkpoint(out / "best", self.model, self.config, metrics)
        # last/ comes after best/: a run that dies in between repeats the epoch and writes the same best/ again.
        save_checkpoint(out / "last", self.model, self.config, metrics, state)


def check_output(out: Path, *, resume: bool) -> None:
    """Refuse to write over a run or other files unless the run is to go on.

    Raises ConfigError.
    """
    has_run = any((out / part / METRICS).is_file() for part in ("best", "last", ".last.old"))
    if resume and not has_run:
        raise ConfigError(f"{out} holds no run to resume; leave --resume out to start one")
    if not resume and has_run:
        raise ConfigError(f"{out} holds a run; continue it with --resume or choose another --out")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists and is no run of ours; choose another --out")


def _best(history: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The epoch with the highest mAP, the latest of equals; the latest at all where nothing was scored."""
    return max(history, key=lambda record: (record.get("mAP", -1.0), record["epoch"]))


def _labels(split: Split) -> NDArray[np.int64]:
    """Indices of person, camera and view (N, 3) of the training samples; -1 = unknown."""
    known = (split.train_persons(), split.train_cameras(), split.train_views())
    person, camera, view = ({name: i for i, name in enumerate(names)} for names in known)
    rows = [
        (person[each.person], camera.get(each.camera or "", -1), view.get(each.view or "", -1)) for each in split.train
    ]
    return np.array(rows, dtype=np.int64)


def _loader(config: TrainConfig, split: Split, spec: ImageSpec) -> EpochLoader:
    labels = _labels(split)
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
    return EpochLoader(images, sampler, workers=config.data.workers)


def _about(config: TrainConfig, split: Split, data: str) -> dict[str, Any]:
    here = Path(__file__).parent
    commit = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "vitreid": version("vitreid"),
        "commit": commit.stdout.strip() or None,
        "torch": torch.__version__,
        "seed": config.seed,
        "data": {
            "name": data,
            "dataset": config.data.dataset,
            "train": len(split.train),
            "query": len(split.query),
            "gallery": len(split.gallery),
        },
        "persons": list(split.train_persons()),
        "cameras": list(split.train_cameras()),
        "views": list(split.train_views()),
    }


def _changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """The keys whose values differ, dotted."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _changes(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}")
    return found
