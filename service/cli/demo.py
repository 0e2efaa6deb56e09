"""`vitreid demo`: from nothing to a first answer over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.terminal import report_interrupt

Train = Annotated[bool, typer.Option("--train", help="Train the model first (minutes).")]
NoServe = Annotated[bool, typer.Option("--no-serve", help="Stop after the first query.")]
Folder = Annotated[Path, typer.Option(help="Folder of the drawn people, the model and the gallery.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to serve on; default 8000, 0 = any.")]


def demo(train: Train = False, no_serve: NoServe = False, data: Folder = Path("demo"), port: Port = None) -> None:
    """Draw people seen by six cameras, index them, serve them and answer a first query."""
    with report_interrupt("run the same command again to resume"):
        from vitreid.service.cli.demo_steps import run_demo

        run_demo(data, port=port, train=train, serve=not no_serve)
