"""The steps from a data set to a search, one function each, equivalent to the commands of the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreid.bundle import Bundle

if TYPE_CHECKING:
    from vitreid.bundle.image_sources import ImageLike
    from vitreid.scoring import RetrievalScores
    from vitreid.service.gallery import Gallery
    from vitreid.service.intake.indexing import IndexReport
    from vitreid.service.models.embedder import Embedder
    from vitreid.service.search import SearchResult
    from vitreid.training.task import Observer, Progress


class _Silent:
    """An observer that ignores everything."""

    def step(self, progress: Progress) -> None:
        """Ignore a step."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Ignore an epoch."""


def load_bundle(path: Path | str) -> Bundle:
    """Open a bundle and check its files against its manifest.

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
    from vitreid.training.run import open_run

    folders = [str(each) for each in ([data] if isinstance(data, (str, Path)) else data)]
    trainer = open_run(recipe, folders, Path(out), changes=changes, test=test, dataset=dataset, resume=resume)
    return trainer.run(Path(out), observer or _Silent())


def evaluate(model: Path | str, data: str | Path, *, dataset: str | None = None) -> RetrievalScores:
    """Score a checkpoint, a run's folder or a bundle by the Market-1501 protocol: mAP, CMC and mINP, 0..1.

    Raises DataError if the data set has no query or gallery images, BundleError, CheckpointError.
    """
    from vitreid.training.datasets import Source
    from vitreid.training.evaluation.embed import evaluate as evaluate_split
    from vitreid.training.evaluation.embed import open_retrieval_model

    source = Source.parse(str(data), dataset)
    return evaluate_split(source.read(), open_retrieval_model(Path(model)).at_cameras_of(source.name))


def export_onnx(
    checkpoint: Path | str, out: Path | str, *, images: Path | str | None = None, precision: str = "fp32"
) -> Bundle:
    """Export a checkpoint, or the best one of a run, to a bundle if its embeddings match torch's on images.

    `images` is a folder of images; None: drawn people. `precision` is fp32, fp16 or int8. Raises ExportError, such as
    ParityError, and BundleError if `out` is something other than a bundle; then nothing is written.
    """
    from vitreid.export.images import choose_images
    from vitreid.export.to_onnx import export_onnx as export_checkpoint
    from vitreid.training.checkpoint import Checkpoint

    opened = Checkpoint.open(Path(checkpoint))
    pixels, parity_data = choose_images(None if images is None else Path(images), opened.config.model.image)
    return export_checkpoint(opened, Path(out), pixels, parity_data=parity_data, precision=precision)


def open_gallery(folder: Path | str, embedder: Embedder, *, create: bool = True) -> Gallery:
    """Open the gallery in a folder for the embeddings of a model; with `create`, create it if it is missing.

    The gallery is a context manager; its methods list, count, relabel and erase items. Raises GalleryError.
    """
    from vitreid.service.gallery import Gallery

    manifest = embedder.manifest
    return Gallery.open(Path(folder), bundle_id=manifest.bundle_id, dimension=manifest.dimension, create=create)


def index(
    images: Path | str,
    gallery: Gallery,
    embedder: Embedder,
    *,
    camera_id: str | None = None,
    pattern: str | None = None,
    relabel: bool = False,
    batch_size: int = 32,
) -> IndexReport:
    """Add the images below a folder to a gallery, except those that it already has.

    Labels are read from names as in Market-1501 or by `pattern`, such as "{camera}_{person}_*"; `camera_id` is the
    camera of images without one in their names. With `relabel`, existing items get the labels in their names. Images
    that cannot be read are in the report's `bad`. Raises FolderNotFound, NoImages, NamePatternError,
    GalleryError.
    """
    from vitreid.bundle.name_pattern import NamePattern
    from vitreid.service.intake.folders import read_folder
    from vitreid.service.intake.indexing import index_folder

    parsed = None if pattern is None else NamePattern.parse(pattern)
    folder = read_folder(Path(images), camera_id=camera_id, pattern=parsed)
    return index_folder(folder, gallery, embedder, relabel=relabel, batch_size=batch_size)


def search(
    images: Sequence[ImageLike], gallery: Gallery, embedder: Embedder, *, camera_id: str | None = None, **options: Any
) -> SearchResult:
    """Search a gallery with one image, or with several images of one person from one camera.

    `options` are the fields of SearchRequest: `k`, `where` (a Filter), `min_score`, `group_by`,
    `exclude_same_camera`, `rerank` and others. The result's `candidates` are ordered by similarity; a score is a
    cosine, -1 to 1. Raises ImageError, BadParameter, NotCalibrated, GalleryError.
    """
    from vitreid.bundle.image_sources import rgb_image
    from vitreid.service.errors import BadParameter
    from vitreid.service.models.explainer import Explainer
    from vitreid.service.search import PatchReranker, SearchRequest, query_of_images
    from vitreid.service.search import search as search_gallery

    if not images:
        raise BadParameter("there are no images to search with; give one, or several of one person")
    explainer = Explainer(embedder.bundle)
    pixels = [embedder.prepare(rgb_image(image)) for image in images]
    query = query_of_images(embedder, explainer, pixels, [camera_id] * len(images), gallery.settings().cameras)
    return search_gallery(
        gallery,
        query,
        SearchRequest(**options),
        calibration=embedder.manifest.calibration,
        patches=PatchReranker(explainer, embedder.prepare),
    )
