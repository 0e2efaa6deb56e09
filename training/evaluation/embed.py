"""Scoring a model on a data set: every query and gallery image embedded, then ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleRunner, ImageSpec, read_image, resize_to_spec
from vitreid.scoring import Labelled, RetrievalScores, score_retrieval
from vitreid.training.datasets import Sample, Split
from vitreid.training.datasets.warnings import check_files
from vitreid.training.errors import DataError

if TYPE_CHECKING:
    import torch

    from vitreid.training.model import ReIDModel

Run = Callable[[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""From uint8 (B, H, W, 3), camera and view indices (B,) to unit embeddings (B, D)."""
BATCH = 64


@dataclass(frozen=True)
class RetrievalModel:
    """A network or a bundle, what it takes, and the cameras and views that it tells apart, by their indices."""

    run: Run
    image: ImageSpec
    cameras: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    def at_cameras_of(self, name: str | None) -> RetrievalModel:
        """Know the cameras of one of the data sets learned together by their own names, or with None no camera."""
        cameras = () if name is None else tuple(camera.removeprefix(f"{name}/") for camera in self.cameras)
        return replace(self, cameras=cameras)


def evaluate(
    split: Split, embedder: RetrievalModel, progress: Callable[[int, int], None] | None = None
) -> RetrievalScores:
    """Score by the Market-1501 protocol; arguments and errors are those of embed_split."""
    return score_retrieval(*embed_split(split, embedder, progress))


def embed_split(
    split: Split, embedder: RetrievalModel, progress: Callable[[int, int], None] | None = None
) -> tuple[Labelled, Labelled]:
    """Query and gallery of a data set, embedded.

    Images of unknown cameras count as taken by different ones. `progress` gets images done and in all.

    Raises DataError where query or gallery is empty or a file is missing.
    """
    for name, samples in (("query", split.query), ("gallery", split.gallery)):
        if not samples:
            raise DataError(f"the data set has no {name} images, so nothing can be scored; add some or train only")
    samples = (*split.query, *split.gallery)
    check_files(samples)
    embeddings = embed_samples(samples, embedder, progress)
    persons = np.array([sample.person for sample in samples])
    seen_by = np.array([sample.camera or f"unknown {i}" for i, sample in enumerate(samples)])
    queries = len(split.query)
    return (
        Labelled.of("query", embeddings[:queries], persons[:queries], seen_by[:queries]),
        Labelled.of("gallery", embeddings[queries:], persons[queries:], seen_by[queries:]),
    )


def embed_samples(
    samples: Sequence[Sample], embedder: RetrievalModel, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Unit embeddings (N, D) of samples, in their order; cameras and views that are not known come as -1."""
    return np.concatenate([embedder.run(*batch) for batch in batches(samples, embedder, progress)])


def batches(
    samples: Sequence[Sample], embedder: RetrievalModel, progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
    """Samples as a model takes them, in their order: images (B, H, W, 3), indices of cameras and views (B,) or -1."""
    cameras, views = ({name: i for i, name in enumerate(names)} for names in (embedder.cameras, embedder.views))
    done = 0
    for batch, images in _read_ahead(samples, embedder.image):
        seen_by = np.array([cameras.get(sample.camera or "", -1) for sample in batch], dtype=np.int64)
        seen_from = np.array([views.get(sample.view or "", -1) for sample in batch], dtype=np.int64)
        yield images, seen_by, seen_from
        done += len(batch)
        if progress:
            progress(done, len(samples))


def model_run(model: ReIDModel, device: torch.device) -> Run:
    """Embed with a network on a device; it keeps the mode, training or evaluation, that it was in."""
    import torch

    def run(images: NDArray[np.uint8], cameras: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
        training = model.training
        model.eval()
        with torch.inference_mode():
            batch = (torch.from_numpy(part).to(device) for part in (images, cameras, views))
            embeddings = model.embed(*batch).float().cpu().numpy()
        model.train(training)
        return np.asarray(embeddings, dtype=np.float32)

    return run


def open_retrieval_model(path: Path) -> RetrievalModel:
    """Open a bundle or a checkpoint. Raises BundleError or CheckpointError where `path` is neither or damaged."""
    if (path / "manifest.json").is_file():
        bundle = Bundle.open(path)
        return RetrievalModel(
            BundleRunner(bundle).run, bundle.manifest.image, bundle.manifest.cameras, bundle.manifest.views
        )
    import torch  # for checkpoints alone: bundles are scored where it is not installed

    from vitreid.training.checkpoint import Checkpoint

    checkpoint = Checkpoint.open(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    part = checkpoint.config.model
    run = model_run(checkpoint.load_model().to(device), device)
    return RetrievalModel(run, part.image, *checkpoint.told_apart)


def _read_ahead(samples: Sequence[Sample], spec: ImageSpec) -> Iterator[tuple[Sequence[Sample], NDArray[np.uint8]]]:
    """Batches with their images, the next one decoded while the caller works on the present one."""

    def read(batch: Sequence[Sample]) -> NDArray[np.uint8]:
        return np.stack([resize_to_spec(read_image(sample.path), spec) for sample in batch])

    parts = [samples[i : i + BATCH] for i in range(0, len(samples), BATCH)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, parts[0])
        for batch, following in zip(parts, [*parts[1:], None], strict=True):
            images = waiting.result()
            if following is not None:
                waiting = pool.submit(read, following)
            yield batch, images
