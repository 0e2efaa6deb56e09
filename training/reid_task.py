"""Training for re-identification: PK batches, BNNecks, the recipe's losses, retrieval scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vitreid.training.backbones import fuse_attention
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import Split, hold_out
from vitreid.training.datasets.warnings import check_trainable
from vitreid.training.distributed import SINGLE_PROCESS, World, check_shareable
from vitreid.training.errors import CheckpointError, ConfigError
from vitreid.training.evaluation.embed import RetrievalModel, evaluate, model_run
from vitreid.training.loader import Batch, epoch_loader
from vitreid.training.loop import Trainer
from vitreid.training.losses import RELATION_LOSSES, LossBatch, LossSizes, TotalLoss, need_tokens
from vitreid.training.losses.collapse import collapse_warning, variances
from vitreid.training.model import ReIDModel, build_model
from vitreid.training.optim import freeze, parameter_groups
from vitreid.training.pretrained.load import Started, begin, check_frozen
from vitreid.training.pretrained.pixels import with_published_pixels
from vitreid.training.records import differing_keys, provenance
from vitreid.training.side_labels import side_notes
from vitreid.training.task import Record, Saved

RESUMABLE = ("threads", "data.workers", "data.cache")  # may differ in a resumed run, say on another machine
SCORES = ("mAP", "rank1", "mINP")
AT_RANDOM = (
    "what is frozen of the backbone stays at random values, since model.weights is 'random'; "
    "start from a file with --set model.weights=FILE"
)


def reid_trainer(
    config: TrainConfig,
    split: Split,
    data: str,
    device: torch.device,
    world: World = SINGLE_PROCESS,
    *,
    fresh: bool = True,
) -> Trainer[ReIDTask]:
    """Build a run from a recipe and a data set named `data`.

    A run that is not `fresh` gets its weights from `resume`, so those that it began with need not be there.

    Raises ConfigError or DataError where recipe and data do not fit.
    """
    task = ReIDTask(config, split, data, device, world, fresh=fresh)
    return Trainer(task, task.config, device, world)


class ReIDTask:
    """Identities of a data set and a network that learns to tell them apart. Implements Task."""

    def __init__(
        self, config: TrainConfig, split: Split, data: str, device: torch.device, world: World, *, fresh: bool
    ) -> None:
        config, self.notes = with_published_pixels(config)
        jpm = config.model.jpm
        if world.count > 1:
            identities = config.data.identities_per_batch
            check_shareable(world.count, identities_per_batch=identities, losses=config.losses, jpm=jpm is not None)
        if config.data.holdout_persons:
            split = hold_out(split, config.data.holdout_persons, config.seed)
        check_trainable(split, data)
        torch.manual_seed(config.seed)
        self.config, self.split, self.device, self.world = config, split, device, world
        self.persons, self.cameras, self.views = split.train_persons(), split.train_cameras(), split.train_views()
        self.network = self._build_network(fresh)
        necks = self.network.necks
        sizes = LossSizes(len(self.persons), self.network.backbone.num_features, len(necks))
        self.losses = TotalLoss(config.losses, sizes, jpm=jpm.reduction if jpm else "paper").to(device)
        self.learned = nn.ModuleList([self.network, self.losses])
        tested = (*split.query, *split.gallery)
        self.notes += side_notes(config.model.sie, tested, cameras=self.cameras, views=self.views)
        self.start_variances = self.monitor()
        self._backbone: nn.Module = self.network.backbone
        if world.count > 1 and any(parameter.requires_grad for parameter in self._backbone.parameters()):
            self._backbone = DistributedDataParallel(self._backbone)
        self.loader = epoch_loader(config, split, world.part)
        self.batch_size = config.data.identities_per_batch * config.data.images_per_identity
        self.score_names = SCORES if split.query and split.gallery else ()
        self.provenance = provenance(config, split, data)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of the network's and the losses' parameters."""
        part = self.config.optim
        named = (*self.network.named_parameters(), *self.losses.named_parameters(prefix="losses"))
        return parameter_groups(
            named,
            lr=part.lr,
            weight_decay=part.weight_decay,
            decay_bias_and_norm=part.decay_bias_and_norm,
            bias_lr_mult=part.bias_lr_mult,
            backbone_lr_mult=part.backbone_lr_mult,
        )

    def batches(self, epoch: int) -> tuple[int, Iterator[Batch]]:
        """PK batches; in a run of several processes this one's slices of them."""
        return self.loader.epoch(epoch)

    def reading(self) -> AbstractContextManager[None]:
        """Hold the worker processes that read images."""
        return self.loader.working()

    def step(self, batch: Batch, *, epoch: int, step: int) -> dict[str, Tensor]:
        """Return the losses of a batch. Each process computes those of the whole batch from the gathered features."""
        batch = Batch(*(part.to(self.device, non_blocking=True) for part in batch))
        images = batch.images.contiguous(memory_format=torch.channels_last)
        features = self._backbone(images, batch.cameras, batch.views)
        output = self.network.output(self.world.gathered(features, tokens=need_tokens(self.config.losses)))
        identities, sources, cameras = (
            self.world.whole(each) for each in (batch.persons, batch.sources, batch.cameras)
        )
        with torch.autocast(self.device.type, enabled=False):
            losses: dict[str, Tensor] = self.losses(
                LossBatch(output.branches, identities, sources, output.tokens, cameras, epoch, step)
            )
        if not losses["total"].requires_grad:
            raise ConfigError(
                f"the losses {', '.join(self.config.losses)} have no gradient for anything that may learn; add "
                "identity to them, or raise optim.backbone_lr_mult or lower optim.frozen_blocks"
            )
        return losses

    def monitor(self) -> dict[str, float]:
        """Variances of the position embeddings, where a relation loss needs them to differ."""
        if RELATION_LOSSES.keys().isdisjoint(self.config.losses):
            return {}
        return variances(self.network.backbone.positions(), self.network.backbone.biases())

    def warning(self, history: Sequence[Record], record: Record) -> str | None:
        """Return a line where position embeddings have collapsed in this epoch."""
        return collapse_warning(self.start_variances, history, record)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Score by the Market-1501 protocol."""
        assert isinstance(network, ReIDModel)
        model = RetrievalModel(model_run(network, self.device), self.config.model.image, self.cameras, self.views)
        scores = evaluate(self.split, model)
        return {name: value for name, value in scores.summary().items() if name in SCORES}

    def state_dict(self) -> dict[str, Any]:
        """State of the losses, and the variances before training."""
        return {"losses": self.losses.state_dict(), "variances": self.start_variances}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the losses' state and the variances before training."""
        self.losses.load_state_dict(state["losses"])
        self.start_variances = dict(state["variances"])

    def save(
        self, path: Path, network: nn.Module, metrics: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> None:
        """Write a checkpoint with provenance, persons and cameras."""
        assert isinstance(network, ReIDModel)
        save_checkpoint(path, network, self.config, {**self.provenance, **metrics}, state)

    def load(self, path: Path) -> Saved:
        """Load the network. Raises CheckpointError where recipe or data have changed since."""
        checkpoint = Checkpoint.open(path)
        allowed = (*RESUMABLE, "precision") if self.config.precision == "auto" else RESUMABLE
        keys = differing_keys(checkpoint.config.model_dump(), self.config.model_dump())
        changed = [key for key in keys if key not in allowed]
        if changed or checkpoint.metrics["data"] != self.provenance["data"]:
            what = ", ".join(changed) or "the data set"
            raise CheckpointError(
                f"{path.parent} was started differently ({what}); use another --out or the same recipe and data"
            )
        self.network.load_state_dict(checkpoint.load_model().state_dict())
        return Saved({"precision": checkpoint.config.precision, **checkpoint.metrics}, checkpoint.load_state())

    def _build_network(self, fresh: bool) -> ReIDModel:
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
        elif self.world.count > 1:
            built.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(built.backbone)  # type: ignore[no-untyped-call]  # torch has no types there
        optim = self.config.optim
        freeze(built, blocks=optim.frozen_blocks, backbone=optim.backbone_lr_mult == 0)
        check_frozen(built, started.at_random, part.weights)
        if fresh and part.weights == "random" and (optim.frozen_blocks or optim.backbone_lr_mult == 0):
            self.notes.append(AT_RANDOM)
        return built
