"""What commands do to a gallery is noted in the log of the service that the gallery belongs to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vitreid.service.access.access import record_command
from vitreid.service.access.audit import Entry
from vitreid.service.config import load_config


def record(gallery: Path, action: str, items: Collection[int] = ()) -> None:
    """Note in the service's audit log, where there is one, what a command did to its gallery. Raises AccessUnusable."""
    entry = Entry(action, gallery=gallery.absolute().name, items=list(items))
    record_command(gallery, entry, audit_days=load_config().audit_days)
