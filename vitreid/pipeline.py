"""From a data set to a bundle, one call a step: what `vitreid train`, `evaluate` and `export onnx` do, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreid.bundle import Bundle

if TYPE_CHECKING:
    from vitreid.scoring import RetrievalScores
    from vitreid.training.progress import Observer, Progress


class _Silent:
    """An observer of a run that ignores it."""

    def step(self, progress: Progress) -> None:
        """Ignore a step."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Ignore an epoch."""


def load_bundle(path: Path | str) -> Bundle:
    """Open a bundle's folder and check its files against its manifest.

    Raises BundleMissing, BundleDamaged or BundleTooNew.
    """
    return Bundle.open(Path(path))


def train(
    recipe: str,
    data: str | Path | Sequence[str | Path],
    out: Path | str,
    *,
    changes: Sequence[str] = (),
    test: str | None = None,
    dataset: str | None = None,
    resume: bool = False,
    observer: Observer | None = None,
) -> Path:
    """Train a model in this process and return the checkpoint of its best epoch, `OUT/best`.

    `recipe` is a name of `vitreid recipes` or a .toml file, `changes` are "part.key=value", `data` and `test` are
    folders or NAME=FOLDER, and `dataset` is the layout of those without a NAME. `observer` gets every step and epoch.

    Raises ConfigError, DataError, CheckpointError, WeightsError, Diverged.
    """
    import torch

    from vitreid.training.config import load_recipe, of_dataset
    from vitreid.training.datasets import Sources
    from vitreid.training.distributed import process_device
    from vitreid.training.loop import Trainer
    from vitreid.training.records import check_output

    config = load_recipe(recipe, list(changes))
    check_output(Path(out), resume=resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    folders = [data] if isinstance(data, (str, Path)) else data
    sources = Sources.parse([str(each) for each in folders], test, dataset or config.data.stated)
    config = of_dataset(config, sources.dataset)
    trainer = Trainer(config, sources.read(), sources.name, process_device(), fresh=not resume)
    if resume:
        trainer.resume(Path(out))
    return trainer.run(Path(out), observer or _Silent()).path


def evaluate(model: Path | str, data: str | Path, *, dataset: str | None = None) -> RetrievalScores:
    """Score a checkpoint, a run's folder or a bundle by the Market-1501 protocol: mAP, CMC and mINP, 0..1.

    Raises DataError where the data set has no query or gallery images, BundleError, CheckpointError.
    """
    from vitreid.training.datasets import Source
    from vitreid.training.evaluation.embed import evaluate as evaluate_split
    from vitreid.training.evaluation.embed import open_embedder

    source = Source.parse(str(data), dataset)
    return evaluate_split(source.read(), open_embedder(Path(model)).at_cameras_of(source.name))


def export_onnx(
    checkpoint: Path | str, out: Path | str, *, images: Path | str | None = None, precision: str = "fp32"
) -> Bundle:
    """Export a checkpoint, or a run's best one, to a bundle once its embeddings agree with torch's on images.

    `images` is a folder of them; None: drawn people. `precision` is fp32, fp16 or int8. Raises ExportError, among them
    ParityError, and BundleError where `out` holds something else; nothing is written then.
    """
    from vitreid.export.images import choose_images
    from vitreid.export.to_onnx import export_onnx as export_checkpoint
    from vitreid.training.checkpoint import Checkpoint

    opened = Checkpoint.open(Path(checkpoint))
    pixels, parity_data = choose_images(None if images is None else Path(images), opened.config.model.image)
    return export_checkpoint(opened, Path(out), pixels, parity_data=parity_data, precision=precision)
