"""`vitreid export calibrate`: probabilities and thresholds of a bundle's scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle, Calibration
from vitreid.bundle.calibration import Estimate, PairNumbers, ReliabilityBin, Thresholds
from vitreid.export.cli.options import BundleDir
from vitreid.terminal import AsJson, emit, note, progress_bar
from vitreid.training.cli.options import (
    DATA_HELP,
    Dataset,
    OtherCameras,
    Pattern,
    check_png,
    read_noted,
    source_of,
)
from vitreid.training.evaluation.report import table

TOO_FEW = "too few pairs"


Data = Annotated[
    str, typer.Option(help=f"Labelled images by your cameras that the model was not trained on: {DATA_HELP}")
]
Method = Annotated[str | None, typer.Option(help="isotonic or logistic; default the better one on held-out persons.")]
Prior = Annotated[
    float | None, typer.Option(help="Assumed share of pairs that show one person; default that of the data.")
]
Plot = Annotated[Path | None, typer.Option(help="PNG of a reliability diagram.")]


def calibrate(
    bundle: BundleDir,
    data: Data,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    method: Method = None,
    prior: Prior = None,
    other_cameras: OtherCameras = False,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate a bundle's scores: a probability for each, and thresholds by false match rate."""
    from vitreid.export.calibrate import CalibrationSource
    from vitreid.export.calibrate import calibrate as calibrate_bundle
    from vitreid.export.reliability import draw_reliability
    from vitreid.synthetic import is_drawn
    from vitreid.training.evaluation.embed import open_retrieval_model
    from vitreid.training.side_labels import side_labels, side_warnings

    if plot is not None:
        check_png("--plot", plot)
    opened = Bundle.open(bundle)
    found = source_of(data, dataset, name_pattern)
    source = CalibrationSource(found.name, found.dataset, read_noted(found), "drawn" if is_drawn(found.path) else None)
    embedder = open_retrieval_model(bundle).at_cameras_of(None if other_cameras else found.name)
    with progress_bar("embedding") as progress:
        extended = calibrate_bundle(opened, embedder, source, method=method, prior=prior, progress=progress)
    calibration = extended.manifest.calibration
    assert calibration is not None  # it was added just now
    samples = (*source.split.query, *source.split.gallery)
    for line in side_warnings(side_labels(samples, cameras=embedder.cameras, views=embedder.views)):
        note(line)
    if plot is not None:
        draw_reliability(calibration, plot)
    emit({"bundle": bundle, "calibration": calibration}, lines(calibration), as_json=as_json)


def lines(calibration: Calibration) -> Iterator[str]:
    """Yield a calibration as text."""
    data = calibration.data
    yield (
        f"calibrated by {calibration.method} on {data.name} ({data.dataset}): {data.images:,} images, "
        f"{_pairs(data.pairs)}"
    )
    yield (
        "the probability is that of two images by two cameras showing one person, where "
        f"{100 * calibration.prior:.4g}% of all such pairs do; it is {calibration.max_probability:.1%} at most"
    )
    yield from _held_out(calibration)
    overall, *of_cameras = calibration.thresholds
    yield f"thresholds for all pairs: {_pairs(overall.pairs)}"
    header = ["false match rate", "threshold", "false matches (95 %)", "true matches (95 %)"]
    yield from table([header, *_rows(overall)])
    if len(of_cameras) > 1:
        yield "threshold and true matches (95 %) by cameras, at each false match rate"
        rates = [*(at.false_match_rate for at in overall.at), *overall.unmeasured_rates]
        rows = [["", *(f"{rate:g}" for rate in rates)]]
        rows += [[" and ".join(each.cameras or ()), *_cells(each, rates)] for each in of_cameras]
        yield from table(rows)


def _held_out(calibration: Calibration) -> Iterator[str]:
    scores = calibration.held_out
    yield (
        f"{scores.pairs.persons} persons, each half scored by a fit on the other: log loss {scores.log_loss:.5f} "
        f"({scores.base_log_loss:.5f} for always predicting the prior), Brier score {scores.brier:.5f} "
        f"({scores.base_brier:.5f}), calibration error {scores.calibration_error:.5f}"
    )
    if len(calibration.log_loss_by_method) > 1:
        losses = ", ".join(f"{name} {loss:.5f}" for name, loss in calibration.log_loss_by_method.items())
        yield f"log loss by method: {losses}; the lowest was chosen"
    yield f"predicted and observed shares of their pairs, as if {100 * calibration.prior:.4g}% were of one person"
    rows = [
        [f"{each.low:.1%} to {each.high:.1%}", f"{each.probability:.2%}", f"{each.observed:.2%}", *_counts(each)]
        for each in scores.bins
    ]
    yield from table([["probability", "predicted", "observed", "pairs of one person", "of different"], *rows])


def _rows(thresholds: Thresholds) -> Iterator[list[str]]:
    for at in thresholds.at:
        rates = _range(at.false_matches, 3), _range(at.true_matches, 1)
        yield [f"{at.false_match_rate:g}", f"{at.score:.4f}", *rates]
    for rate in thresholds.unmeasured_rates:
        yield [f"{rate:g}", TOO_FEW, "", ""]


def _cells(thresholds: Thresholds, rates: Sequence[float]) -> list[str]:
    cells = {at.false_match_rate: f"{at.score:.4f}: {_range(at.true_matches, 1)}" for at in thresholds.at}
    return [cells.get(rate, TOO_FEW) for rate in rates]


def _pairs(numbers: PairNumbers) -> str:
    return f"{numbers.same:,} pairs of one person by two cameras and {numbers.different:,} of different persons"


def _counts(each: ReliabilityBin) -> list[str]:
    return [f"{each.same:,}", f"{each.different:,}"]


def _range(rate: Estimate, digits: int) -> str:
    return f"{rate.value:.{digits}%} ({rate.low:.{digits}%} to {rate.high:.{digits}%})"
