"""Options that several export commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.terminal import note
from vitreid.training.cli.options import DATA_HELP, source_of

if TYPE_CHECKING:
    from vitreid.export.trial import Trial
    from vitreid.training.datasets import Source

BundleDir = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle.")]
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

    tolerance = tolerance_of(precision, min_cosine, max_map_loss)
    return Trial(tolerance=tolerance, data=data, runtimes=PARITY_RUNTIMES, warn=note)


def folder_of(data: Source | None) -> Path | None:
    """Return the folder of a data set's images; None for a table, whose images may be anywhere."""
    return None if data is None or data.path.is_file() else data.path
