"""`reid audit`: the audit log of a data folder as JSON lines."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.access.access import open_records
from service.access.audit import Asked, Entry, json_lines
from service.config import load_config

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def audit(
    since: Annotated[datetime | None, typer.Option(help="Only from then on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before then, in UTC.")] = None,
    key: Annotated[str | None, typer.Option(help="Only by the key with this id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action: query, add, erase, ...")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The service's data folder; REID_DATA or reid-data when left out.")
    ] = None,
) -> None:
    """Print who asked, added and erased what: ids and times, never pictures. Reading it is recorded too."""
    config = load_config(data=data)
    asked = Asked(_utc(since), _utc(until), key, action)
    with open_records(config.data, audit_days=config.audit_days) as (_, log):
        sys.stdout.writelines(json_lines(log.every(asked)))
        log.record(Entry("audit"))


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)
