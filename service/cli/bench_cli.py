"""The command `vitreid bench`: parses, calls one function and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vitreid.service.cli.options import finite_option
from vitreid.service.cli.service_cli import INTERRUPTED, AsJson

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    bundle: Annotated[Path, typer.Argument(help="The model.")],
    seconds: Annotated[
        float, typer.Option(min=0, callback=finite_option, help="How long to measure, at most; loading comes on top.")
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on this machine in every way that works here, and say which settings to take.

    Let nothing else run meanwhile. Ctrl-C ends it, and what was measured until then is told.
    """
    from vitreid.bundle import Bundle
    from vitreid.service.cli.bench_actions import bench as measured
    from vitreid.service.cli.bench_reports import print_bench
    from vitreid.service.cli.progress import step_progress
    from vitreid.service.config import load_config

    with step_progress("measuring") as progress:
        found = measured(Bundle.open(bundle), load_config().choice, seconds=seconds, progress=progress)
    print_bench(found, as_json=as_json)
    if found.interrupted:
        print("vitreid: interrupted: what was measured until then is told above", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
