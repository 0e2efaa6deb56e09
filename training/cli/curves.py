"""`vitreid curves`: losses and scores of runs as an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.terminal import AsJson, emit
from vitreid.training.cli.options import check_png

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs, or checkpoints.")]
Out = Annotated[Path, typer.Option(help="The PNG to write.")]


def curves(runs: Runs, out: Out, as_json: AsJson = False) -> None:
    """Plot losses, learning rate and scores of runs over their epochs."""
    from vitreid.training.checkpoint import Checkpoint
    from vitreid.training.evaluation.curves import draw_curves

    check_png("--out", out)
    checkpoints = {str(run): Checkpoint.open(run / "last" if (run / "last").is_dir() else run) for run in runs}
    histories = {name: checkpoint.metrics.get("history", []) for name, checkpoint in checkpoints.items()}
    draw_curves(histories, out)
    emit({"out": out, "epochs": {name: len(each) for name, each in histories.items()}}, str(out), as_json=as_json)
