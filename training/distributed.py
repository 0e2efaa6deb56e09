"""Several processes that train one model, as torchrun starts them.

Every process computes the features of its slice of a batch; all features are gathered with gradients, so that triplets
are those of the whole batch, and each process computes the same loss. The result is that of one process, except for
batch norms inside a convolutional stem on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single  # torch deprecates its public ones for this

from vitreid.training.backbones import Features
from vitreid.training.errors import ConfigError
from vitreid.training.losses import BRANCH_LOSSES, TOKEN_LOSSES


@dataclass(frozen=True)
class World:
    """The processes of a run and this one's rank."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """True for the process that scores, saves and reports."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """Return this process's slice of a batch of `size`."""
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def seed(self, *shared: int) -> int:
        """Return a seed of this process, derived from numbers that all processes share."""
        return int(np.random.SeedSequence([*shared, self.rank]).generate_state(1, np.uint64)[0])

    def gathered(self, features: Features, *, tokens: bool = True) -> Features:
        """Return the features of the whole batch, in its order, with gradients.

        Without `tokens` those of a transformer, which are many, are left out.
        """
        if self.count == 1:
            return features
        first, *local = (self._whole(each) for each in features.all)
        if not tokens:
            return Features(first, tuple(local))
        cls, patches = (None if each is None else self._whole(each) for each in (features.cls, features.patches))
        return Features(first, tuple(local), cls, patches)

    def whole(self, tensor: Tensor) -> Tensor:
        """Return a batch's values, without gradients, of all processes."""
        if self.count == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def wait(self) -> None:
        """Wait until all processes have arrived."""
        if self.count > 1:
            dist.barrier()

    @staticmethod
    def _whole(tensor: Tensor) -> Tensor:
        everybody = dist.group.WORLD
        assert everybody is not None
        return all_gather_single(tensor.contiguous(), 0, everybody)


SINGLE_PROCESS = World()


def check_shareable(processes: int, *, identities_per_batch: int, losses: Iterable[str], jpm: bool) -> None:
    """Check that processes can share a batch, and that the losses have gradients for the whole network.

    Raises ConfigError where they cannot: DistributedDataParallel waits for a gradient of every weight.
    """
    if identities_per_batch % processes:
        raise ConfigError(
            f"data.identities_per_batch = {identities_per_batch} cannot be shared by {processes} processes"
        )
    whole_network = BRANCH_LOSSES.keys() | (set() if jpm else TOKEN_LOSSES.keys())
    if whole_network.isdisjoint(losses):
        raise ConfigError(
            f"the losses {', '.join(losses)} leave a part of the network without gradients, which {processes} "
            "processes cannot share; add identity or triplet to them, or train in one process"
        )


def process_device() -> torch.device:
    """Return the GPU that torchrun gave to this process, the first one without torchrun, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def init_distributed(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, or yield SINGLE_PROCESS without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE_PROCESS
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
