"""`vitreid audit`: the audit log of a data folder as JSON lines."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from vitreid.service.access.access import open_records
from vitreid.service.access.audit import Asked, Entry, json_lines
from vitreid.service.cli.options import time_option
from vitreid.service.config import load_config

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def audit(
    since: Annotated[
        datetime | None,
        typer.Option(parser=time_option, metavar="TIME", help="Only from then on, as 2026-05-01T00:00:00Z."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=time_option, metavar="TIME", help="Only before then.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only by the key with this id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action: query, add, erase, ...")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The service's data folder; VITREID_DATA or vitreid-data when left out.")
    ] = None,
) -> None:
    """Print who asked, added and erased what: ids and times, never images. Reading it is recorded too."""
    config = load_config(data=data)
    asked = Asked(since, until, key, action)
    with open_records(config.data, audit_days=config.audit_days) as (_, log):
        sys.stdout.writelines(json_lines(log.every(asked)))
        log.record(Entry("audit"))
