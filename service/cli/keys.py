"""`vitreid keys`: create, list and revoke the API keys of a data folder, also while its service runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from vitreid.service.access.access import open_records
from vitreid.service.access.audit import Entry
from vitreid.service.access.keys import Key
from vitreid.service.access.principal import scope_of
from vitreid.service.cli.options import DataDir
from vitreid.service.config import ServiceConfig, load_config
from vitreid.service.db import Reserve
from vitreid.service.gallery.galleries import check_name
from vitreid.service.values.texts import check_label
from vitreid.terminal import AsJson, emit

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, list and revoke API keys.")

Name = Annotated[str, typer.Argument(help="Who or what will use it; appears in the audit log.")]
Scopes = Annotated[list[str], typer.Option("--scope", help="read; write, which includes read; admin, which is all.")]
OnlyGallery = Annotated[list[str] | None, typer.Option("--gallery", help="Only this gallery; may be repeated.")]
OnlyCamera = Annotated[list[str] | None, typer.Option("--camera", help="Only items of this camera; may be repeated.")]
ExpiresDays = Annotated[int | None, typer.Option(min=1, max=36500, help="Days until it expires.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, the eight letters after vitreid_.")]


@app.command()
def create(
    name: Name,
    scope: Scopes,
    gallery: OnlyGallery = None,
    camera: OnlyCamera = None,
    expires_days: ExpiresDays = None,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, once: only its hash is stored.

    From the first key on, every request to the service needs one.
    """
    scopes = [scope_of(each) for each in scope]
    for each in camera or []:
        check_label("--camera", each)
    for each in gallery or []:
        check_name(each)
    config = load_config(data=data)
    expires_in = None if expires_days is None else timedelta(days=expires_days)
    with open_records(config.data, audit_days=config.audit_days, create=True) as (keys, audit):
        key, text = keys.create(name, scopes, galleries=gallery or None, cameras=camera or None, expires_in=expires_in)
        audit.record(Entry("key-create", key_id=key.id))
    emit({"key": text, **vars(key)}, text, as_json=as_json)


@app.command("list")
def list_keys(data: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys, revoked and expired ones too; never their secrets."""
    config = load_config(data=data)
    with open_records(config.data, audit_days=config.audit_days) as (keys, _):
        found = keys.list()
    emit(found, _tables(found), as_json=as_json)


@app.command()
def revoke(key_id: KeyId, data: DataDir = None, as_json: AsJson = False) -> None:
    """Revoke a key; a running service refuses it at once, also while the disk is full."""
    config = load_config(data=data)
    key = Reserve(config.data).spend(lambda: _revoke(config, key_id))
    emit(key, f"key {key.id} ({key.name}) is revoked", as_json=as_json)


def _revoke(config: ServiceConfig, key_id: str) -> Key:
    with open_records(config.data, audit_days=config.audit_days) as (keys, audit):
        key = keys.revoke(key_id)
        audit.record(Entry("key-revoke", key_id=key.id))
    return key


def _tables(keys: Sequence[Key]) -> Iterator[Table]:
    table = Table("id", "name", "may", "state", "last used")
    table.columns[0].no_wrap = True
    now = datetime.now(UTC)
    for key in keys:
        # Text: a name in brackets is no markup.
        table.add_row(key.id, Text(key.name), Text(_rights(key)), _state(key, now), _minute(key.last_used_at))
    yield table


def _rights(key: Key) -> str:
    limits = (("gallery", key.galleries), ("camera", key.cameras))
    return "; ".join([", ".join(key.scopes), *(f"{what} {', '.join(names)}" for what, names in limits if names)])


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {_minute(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= now else 'valid until'} {_minute(key.expires_at)}"


def _minute(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
