"""`vitreid audit`: the audit log of a data folder as JSON lines."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from vitreid.service.access.access import open_records
from vitreid.service.access.audit import AuditFilter, Entry, json_lines
from vitreid.service.cli.options import DataDir, time_option
from vitreid.service.config import load_config

Since = Annotated[
    datetime | None,
    typer.Option(parser=time_option, metavar="TIME", help="Only from this time on, as 2026-05-01T00:00:00Z."),
]
Until = Annotated[datetime | None, typer.Option(parser=time_option, metavar="TIME", help="Only before this time.")]
KeyId = Annotated[str | None, typer.Option(help="Only by the key with this id.")]
Action = Annotated[str | None, typer.Option(help="Only this action: query, add, erase, ...")]


def audit(
    since: Since = None, until: Until = None, key: KeyId = None, action: Action = None, data: DataDir = None
) -> None:
    """Print who searched, added and erased what: ids and times, never images. Reading the log is recorded too."""
    config = load_config(data=data)
    with open_records(config.data, audit_days=config.audit_days) as (_, log):
        sys.stdout.writelines(json_lines(log.every(AuditFilter(since, until, key, action))))
        log.record(Entry("audit"))
