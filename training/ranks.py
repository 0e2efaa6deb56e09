"""Several processes that train one model, as torchrun starts them.

Every process takes its slice of a batch through the backbone; the features of all are gathered, so that the triplets
are those of the whole batch, and each process computes the same loss of it. What one process would have computed
comes out, but for batch norms inside of a convolutional stem on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single  # torch names no public one with gradients

from training.backbones import Features


@dataclass(frozen=True)
class Ranks:
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

    def gathered(self, features: Features) -> Features:
        """The features of the whole batch, in its order; gradients find their way back."""
        if self.count == 1:
            return features
        parts = tuple(self._whole(part) for part in features.parts)
        cls, patches = (None if each is None else self._whole(each) for each in (features.cls, features.patches))
        return Features(parts, cls, patches)

    def whole(self, tensor: Tensor) -> Tensor:
        """A batch's values, without gradients, of all processes."""
        return tensor if self.count == 1 else self._whole(tensor)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()

    def _whole(self, tensor: Tensor) -> Tensor:
        return all_gather_single(tensor.contiguous(), 0, list(range(self.count)))


ALONE = Ranks()


def process_device() -> torch.device:
    """The GPU that torchrun gave to this process, the first one without torchrun, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun started, by its variables; this one alone where there are none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
