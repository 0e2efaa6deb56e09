"""From sample indices to batches of tensors, the same whatever the number of workers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from vitreid.bundle import ImageError, ImageSpec, read_image, resize_to_spec
from vitreid.training.config import AugmentConfig, TrainConfig
from vitreid.training.datasets import Sample, Split
from vitreid.training.errors import DataError, WorkerDied
from vitreid.training.sampler import SAMPLERS, PKSampler
from vitreid.training.views import seeded, train_view

Draw = tuple[int, int, int]  # epoch, position in the epoch, sample


class Batch(NamedTuple):
    """Images `images` (B, 3, H, W); their `persons`, `cameras` and `views` as indices (B,), -1 = unknown.

    `sources` (B,) tell which image each one is.
    """

    images: Tensor
    persons: Tensor
    cameras: Tensor
    views: Tensor
    sources: Tensor


class TrainImages(Dataset[Batch | DataError]):
    """Training images by draw: the random changes depend on seed, epoch and position, not on who makes them.

    An image that cannot be read comes as the error, since an exception would lose its type between processes.

    `labels` (N, 3) are the indices of person, camera and view of each sample.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: NDArray[np.int64],
        spec: ImageSpec,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        augment: AugmentConfig,
        seed: int,
        cache: bool,
    ) -> None:
        self._samples, self._labels, self._spec, self._seed = samples, torch.from_numpy(labels), spec, seed
        self._view = train_view((spec.height, spec.width), mean=mean, std=std, **augment.model_dump())
        self._cache = [self._read(i) for i in range(len(samples))] if cache else None

    def __getitem__(self, draw: Draw) -> Batch | DataError:
        epoch, position, index = draw
        try:
            image = self._read(index) if self._cache is None else self._cache[index]
        except ImageError as error:
            return DataError(f"{error}; `vitreid data check` finds all such images")
        with seeded(self._seed, epoch, position):
            pixels = self._view(torch.from_numpy(image.copy()).permute(2, 0, 1))
        person, camera, view = self._labels[index]
        return Batch(pixels, person, camera, view, torch.tensor(index))

    def _read(self, index: int) -> NDArray[np.uint8]:
        return resize_to_spec(read_image(self._samples[index].path), self._spec)


class _Draws:
    """The batch sampler of one epoch after another: `begin` is called before each pass."""

    def __init__(self, sampler: PKSampler, part: Callable[[int], slice]) -> None:
        self._sampler, self._part = sampler, part
        self._epoch, self._batches = 0, list[list[int]]()

    def begin(self, epoch: int) -> None:
        self._epoch, self._batches = epoch, self._sampler.epoch(epoch)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Draw]]:
        position = 0
        for batch in self._batches:
            yield [(self._epoch, position + i, index) for i, index in enumerate(batch)][self._part(len(batch))]
            position += len(batch)


class EpochLoader:
    """Batches by epoch, or of each the `part` that its size tells. Worker processes live until it is closed."""

    def __init__(
        self, images: TrainImages, sampler: PKSampler, *, workers: int, part: Callable[[int], slice] = slice
    ) -> None:
        self._draws = _Draws(sampler, part)
        self._loader: DataLoader[Batch | DataError] = DataLoader(
            images,
            batch_sampler=self._draws,
            collate_fn=_collated,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # the loader must not draw from the global state, which dropout uses
        )

    @contextmanager
    def working(self) -> Iterator[None]:
        """End the worker processes with the block, also those of an epoch that broke off.

        Raises WorkerDied where one has ended by itself: torch tells it at any moment, a batch under way by its
        connection.
        """
        try:
            try:
                yield
            finally:
                self._end_workers()
        except (RuntimeError, ConnectionError, EOFError) as error:
            self._end_workers()  # again: the end of one may have been told when that was about to begin
            _tell_of_worker(error)
            raise

    def _end_workers(self) -> None:
        workers = self._loader._iterator
        if isinstance(workers, _MultiProcessingDataLoaderIter):
            with _undisturbed():
                workers._shutdown_workers()  # torch has no public way
        self._loader._iterator = None

    def epoch(self, epoch: int) -> tuple[int, Iterator[Batch]]:
        """How many batches an epoch has, and these. They raise DataError where an image cannot be read."""
        self._draws.begin(epoch)
        return len(self._draws), self._read()

    def _read(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, DataError):
                raise batch
            yield batch


def _tell_of_worker(error: Exception) -> None:
    """Raise WorkerDied where that is what the error means."""
    if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
        return
    reason = " ".join(str(error).split()).rstrip(". ")
    told = reason if isinstance(error, RuntimeError) else f"a DataLoader worker ended ({reason or 'end of file'})"
    raise WorkerDied(
        f"{told}; the epochs before are kept: go on with --resume, "
        "and with a smaller --set data.workers=N where memory was short"
    ) from error


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep torch from telling of dead workers, which it does by raising from whatever the main thread is at."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, told)


def _collated(drawn: list[Batch | DataError]) -> Batch | DataError:
    batch: Batch | DataError = next((each for each in drawn if isinstance(each, DataError)), None) or default_collate(
        drawn
    )
    return batch


def epoch_loader(config: TrainConfig, split: Split, part: Callable[[int], slice] = slice) -> EpochLoader:
    """The loader of a recipe's training images; of each batch the `part` that its size tells."""
    labels = split.train_labels()
    images = TrainImages(
        split.train,
        labels,
        config.model.image,
        mean=config.model.mean,
        std=config.model.std,
        augment=config.augment,
        seed=config.seed,
        cache=config.data.cache,
    )
    sampler = SAMPLERS[config.data.sampler](
        labels[:, 0].tolist(),
        identities_per_batch=config.data.identities_per_batch,
        images_per_identity=config.data.images_per_identity,
        samples_per_epoch=config.data.samples_per_epoch,
        seed=config.seed,
    )
    return EpochLoader(images, sampler, workers=config.data.workers, part=part)
