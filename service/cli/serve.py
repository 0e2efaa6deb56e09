"""`vitreid serve`: the service over HTTP."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from vitreid.service.cli.options import BundleDir, DataDir, Threads
from vitreid.terminal import report_interrupt

Host = Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; default 8000, 0 = any.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Allow an address that other machines can reach, without API keys.")
]
ShowConfig = Annotated[bool, typer.Option("--show-config", help="Print the settings and exit.")]


def serve(
    data: DataDir = None,
    bundle: BundleDir = None,
    host: Host = None,
    port: Port = None,
    threads: Threads = None,
    insecure: Insecure = False,
    show_config: ShowConfig = False,
) -> None:
    """Serve the galleries DATA/galleries/NAME over HTTP: the page at /, the API described at /docs. Ctrl-C ends it.

    The gallery `default` is made where it is missing. Every setting can also come from a VITREID_* variable; see
    --show-config.
    """
    from vitreid.service.config import config_lines, load_config, unknown_variables

    config = load_config(data=data, bundle=bundle, host=host, port=port, threads=threads, insecure=insecure or None)
    if show_config:
        for line in unknown_variables(os.environ):
            typer.echo(f"vitreid: {line}", err=True)
        typer.echo("\n".join(config_lines(config)))
        return
    with report_interrupt("nothing was served"):
        from vitreid.service.api.server.serving import serve as serve_in_foreground

        serve_in_foreground(config)
