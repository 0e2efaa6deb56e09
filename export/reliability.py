"""Reliability diagram of a calibration."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from vitreid.bundle import Calibration
from vitreid.export.errors import ExportError


def draw_reliability(calibration: Calibration, out: Path) -> None:
    """Write a PNG: predicted and observed probabilities, pairs by predicted probability, and probability by score.

    The first two are of held-out persons. Raises ExportError if the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    bins = calibration.held_out.bins
    with mpl.rc_context({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(12, 4), layout="constrained")
        reliable, counts, scores = figure.subplots(1, 3)

        reliable.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect calibration")
        predicted = [each.probability for each in bins]
        reliable.plot(predicted, [each.observed for each in bins], marker="o", label="held-out persons")
        reliable.set(xlabel="predicted probability", ylabel="observed share of one person", title="reliability")
        reliable.legend()

        names = [f"{each.low:g} to {each.high:g}" for each in bins]
        counts.barh(names, [each.different for each in bins], label="different persons")
        counts.barh(names, [each.same for each in bins], label="one person", height=0.4)
        counts.set(xscale="log", xlabel="pairs", title="pairs by predicted probability")
        counts.legend()

        grid = np.linspace(-1, 1, 801)
        scores.plot(grid, [calibration.probability(score) for score in grid.tolist()])
        for at in calibration.thresholds[0].at:
            scores.axvline(at.score, color="grey", linestyle=":")
            scores.text(at.score, 1, f"{at.false_match_rate:g}", ha="right", va="top", rotation=90)
        title = f"probability where {100 * calibration.prior:.3g}% of pairs are of one person"
        scores.set(xlabel="score (dotted: false match rates)", ylim=(-0.02, 1.02), title=title)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=120)
    try:
        out.write_bytes(drawn.getvalue())
    except OSError as error:
        if out.is_file():
            out.unlink()  # incomplete
        raise ExportError(f"{out} cannot be written ({error.strerror}); the bundle itself is calibrated") from error
