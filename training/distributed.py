"""Several processes that train one model, as torchrun starts them.

Every process takes its slice of a batch through the backbone; the features of all are gathered, so that the triplets
are those of the whole batch, and each process computes the same loss of it. What one process would have computed
comes out, but for batch norms inside of a convolutional stem on a CPU.
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
from torch.distributed._functional_collectives import all_gather_single  # torch names no public one with gradients

from vitreid.training.backbones import Features
from vitreid.training.errors import ConfigError
from vitreid.training.losses import BRANCH_LOSSES, RELATION_LOSSES, TOKEN_LOSSES


@dataclass(frozen=True)
class World:
    """Which of how many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that scores, saves and reports."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """This process's slice of a batch of `size`."""
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def seed(self, *shared: int) -> int:
        """A seed of this process's own, made of numbers that all of them share."""
        return int(np.random.SeedSequence([*shared, self.rank]).generate_state(1, np.uint64)[0])

    def gathered(self, features: Features, *, tokens: bool = True) -> Features:
        """The features of the whole batch, in its order; gradients find their way back.

        Without `tokens` those of a transformer, which are many, stay where they are and are left out.
        """
        if self.count == 1:
            return features
        first, *local = (self._whole(each) for each in features.all)
        if not tokens:
            return Features(first, tuple(local))
        cls, patches = (None if each is None else self._whole(each) for each in (features.cls, features.patches))
        return Features(first, tuple(local), cls, patches)

    def whole(self, tensor: Tensor) -> Tensor:
        """A batch's values, without gradients, of all processes."""
        return tensor if self.count == 1 else self._whole(tensor)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()

    @staticmethod
    def _whole(tensor: Tensor) -> Tensor:
        everybody = dist.group.WORLD
        assert everybody is not None
        return all_gather_single(tensor.contiguous(), 0, everybody)


SINGLE_PROCESS = World()


def check_shareable(processes: int, *, identities_per_batch: int, losses: Iterable[str], jpm: bool) -> None:
    """Whether processes can share batches of so many `identities_per_batch`, and the gradients of these `losses`.

    Raises ConfigError where they cannot: torch waits for a gradient of every weight of the backbone.
    """
    if identities_per_batch % processes:
        raise ConfigError(
            f"data.identities_per_batch = {identities_per_batch} cannot be shared by {processes} processes"
        )
    of_all = BRANCH_LOSSES.keys() | (set() if jpm else TOKEN_LOSSES.keys() - RELATION_LOSSES)
    if of_all.isdisjoint(losses):
        raise ConfigError(
            f"the losses {', '.join(losses)} leave a part of the network without gradients, which {processes} "
            "processes cannot share; add identity or triplet to them, or train in one process"
        )


def process_device() -> torch.device:
    """The GPU that torchrun gave to this process, the first one without torchrun, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The processes that torchrun started, by its variables; this one alone where there are none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE_PROCESS
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
