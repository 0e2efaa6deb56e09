"""Options that the export commands share, and the report on a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.bundle import Bundle, Parity
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.terminal import emit, note
from vitreid.training.cli.options import DATA_HELP, source_of
from vitreid.training.datasets import Source

if TYPE_CHECKING:
    from vitreid.export.trial import Trial

Images = Annotated[
    Path | None,
    typer.Option(help="Folder of real images on which both models are compared; default drawn people."),
]
Data = Annotated[str | None, typer.Option(help=f"Data set on which both models are scored, too: {DATA_HELP}")]
MinCosine = Annotated[
    float | None,
    typer.Option(min=-1, max=1, help="Minimum corrected cosine, in place of the precision's."),
]
MaxMapLoss = Annotated[float | None, typer.Option(min=0, max=1, help="Maximum loss of mAP on --data, 0..1.")]


def data_of(data: str | None, dataset: str | None, pattern: str | None) -> Source | None:
    """Return the data set that the options name, if any. Raises NamePatternError."""
    return None if data is None else source_of(data, dataset, pattern)


def trial(precision: str, data: Source | None, min_cosine: float | None, max_map_loss: float | None) -> Trial:
    """Return the trial of a bundle of this precision, in all runtimes of this machine."""
    if data is None and max_map_loss is not None:
        raise typer.BadParameter("--max-map-loss needs --data, on which it is measured")
    from vitreid.export.parity_runtimes import PARITY_RUNTIMES
    from vitreid.export.tolerance import tolerance_of
    from vitreid.export.trial import Trial

    return Trial(
        tolerance=tolerance_of(precision, min_cosine, max_map_loss),
        data=data,
        runtimes=PARITY_RUNTIMES,
        warn=note,
    )


def folder_of(data: Source | None) -> Path | None:
    """Return the folder of a data set's images; None for a table, whose images may be anywhere."""
    return None if data is None or data.path.is_file() else data.path


def report(bundle: Bundle, parity: Sequence[Parity], *, as_json: bool, model: str = "torch") -> None:
    """Print what a bundle is, and how far its runtimes are from the `model` that it was made of."""
    manifest = bundle.manifest
    values = {"bundle": bundle.path, "bundle_id": manifest.bundle_id, "precision": manifest.precision}
    size = manifest.files["model.onnx"].bytes / 1e6
    line = (
        f"{bundle.path}: bundle {manifest.bundle_id[:12]}, {manifest.precision}, {manifest.image.height}x"
        f"{manifest.image.width}, {manifest.dimension} numbers, {size:.1f} MB"
    )
    emit(values | {"parity": parity}, [line, *(_line(each, model) for each in parity)], as_json=as_json)


def report_explain_graph(bundle: Bundle, *, as_json: bool) -> None:
    """Print what a bundle's explain.onnx is, and how far it is from torch."""
    spec = bundle.manifest.explain
    assert spec is not None  # it was added just now
    size = bundle.manifest.files[EXPLAIN].bytes
    line = (
        f"{bundle.path}: {EXPLAIN}, {spec.rows}x{spec.columns} patches of {spec.dimension} numbers, "
        f"{size / 1e6:.1f} MB; same as torch on {spec.parity_images} images: largest difference "
        f"{spec.max_abs_difference:.1e}"
    )
    values = {"bundle": bundle.path, "file": EXPLAIN, "bytes": size}
    emit(values | spec.model_dump(mode="json"), line, as_json=as_json)


def _line(parity: Parity, model: str) -> str:
    cosine, mean = parity.min_corrected_cosine, parity.mean_corrected_cosine
    corrected = "" if cosine is None else f", corrected {cosine:.7f}, {mean:.7f} in the mean"
    text = (
        f"{parity.runtime} in {parity.precision} against {model} on {parity.images} images: largest difference "
        f"{parity.max_abs_difference:.1e}, smallest cosine {parity.min_cosine:.7f}{corrected}"
    )
    if (scores := parity.scores) is None:
        return text
    return (
        f"{text}; on {scores.data} mAP {100 * scores.mAP:.2f} instead of {100 * scores.model_mAP:.2f}, rank-1 "
        f"{100 * scores.rank1:.2f} instead of {100 * scores.model_rank1:.2f}"
    )
