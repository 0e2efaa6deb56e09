"""`vitreid keys`: make, list and revoke the API keys of a data folder, also while its service runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitreid.service.access.access import open_records
from vitreid.service.access.audit import Entry
from vitreid.service.access.keys import Key
from vitreid.service.access.principal import scope_of
from vitreid.service.config import ServiceConfig, load_config
from vitreid.service.gallery.galleries import check_name
from vitreid.service.gallery.maintenance.reserve import Reserve
from vitreid.service.values.texts import check_label

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[
    Path | None, typer.Option(help="The service's data folder; VITREID_DATA or vitreid-data when left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, the eight letters after vitreid_.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it; stands in the audit log.")],
    scope: Annotated[list[str], typer.Option(help="read; write, which may read too; admin, which may do all.")],
    gallery: Annotated[list[str] | None, typer.Option(help="Only this gallery; may be repeated.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only items of this camera; may be repeated.")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=36500, help="Days until it is refused.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: only a hash of it is kept.

    From the first key on, every request to the service needs one.
    """
    scopes = [scope_of(each) for each in scope]
    for each in camera or []:
        check_label("--camera", each)
    for each in gallery or []:
        check_name(each)
    config = load_config(data=data)
    with open_records(config.data, audit_days=config.audit_days, create=True) as (keys, audit):
        key, text = keys.create(
            name,
            scopes,
            galleries=gallery or None,
            cameras=camera or None,
            expires_in=None if expires_days is None else timedelta(days=expires_days),
        )
        audit.record(Entry("key-create", key_id=key.id))
    print(json.dumps({"key": text, **_as_json(key)}) if as_json else text)


@app.command("list")
def list_keys(data: Data = None, as_json: AsJson = False) -> None:
    """List the keys, revoked and expired ones too; never their secrets."""
    config = load_config(data=data)
    with open_records(config.data, audit_days=config.audit_days) as (keys, _):
        found = keys.list()
    if as_json:
        print(json.dumps([_as_json(key) for key in found]))
        return
    table = Table("id", "name", "may", "state", "last used")
    table.columns[0].no_wrap = True
    now = datetime.now(UTC)
    for key in found:
        # Text: a name in brackets is no markup.
        table.add_row(key.id, Text(key.name), Text(_rights(key)), _state(key, now), _shown(key.last_used_at))
    Console().print(table)


@app.command()
def revoke(key_id: KeyId, data: Data = None, as_json: AsJson = False) -> None:
    """Refuse a key from now on; a running service does so at once, also while the disk is full."""
    config = load_config(data=data)
    key = Reserve(config.data).spend(lambda: _revoke(config, key_id))
    print(json.dumps(_as_json(key)) if as_json else f"key {key.id} ({key.name}) is revoked")


def _revoke(config: ServiceConfig, key_id: str) -> Key:
    with open_records(config.data, audit_days=config.audit_days) as (keys, audit):
        key = keys.revoke(key_id)
        audit.record(Entry("key-revoke", key_id=key.id))
    return key


def _as_json(key: Key) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(key).items()}


def _rights(key: Key) -> str:
    limits = (("gallery", key.galleries), ("camera", key.cameras))
    return "; ".join([", ".join(key.scopes), *(f"{what} {', '.join(names)}" for what, names in limits if names)])


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {_shown(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= now else 'valid until'} {_shown(key.expires_at)}"


def _shown(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
