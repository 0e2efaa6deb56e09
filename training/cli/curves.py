"""`vitreid curves`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vitreid.training.cli.options import Json, check_png


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or checkpoints.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    as_json: Json = False,
) -> None:
    """Draw what runs did over their epochs: losses, rate and scores."""
    from vitreid.training.checkpoint import Checkpoint
    from vitreid.training.evaluation.curves import draw_curves

    check_png("--out", out)
    histories = {str(run): Checkpoint.open(run / "last" if (run / "last").is_dir() else run).metrics for run in runs}
    draw_curves({name: metrics.get("history", []) for name, metrics in histories.items()}, out)
    told = {"out": str(out), "epochs": {name: len(metrics.get("history", [])) for name, metrics in histories.items()}}
    typer.echo(json.dumps(told) if as_json else str(out))
