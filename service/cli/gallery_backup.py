"""`vitreid gallery backup`, `restore` and `drop-backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.service.cli.opening import record
from vitreid.service.cli.options import GalleryFolder
from vitreid.service.config import load_config
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance import backup as backups
from vitreid.service.gallery.maintenance.restoring import restore as restore_backup
from vitreid.service.values.times import utc_now
from vitreid.terminal import AsJson, emit, progress_bar, report_interrupt

Out = Annotated[Path, typer.Argument(help="The folder to make.")]
Backup = Annotated[Path, typer.Argument(help="A folder that `vitreid gallery backup` made.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace the gallery that is there.")]
BackupId = Annotated[str, typer.Argument(metavar="ID", help="The backup's id, from `vitreid gallery info`.")]
Gone = Annotated[bool, typer.Option("--gone", help="It was moved, and no copy of it is left anywhere.")]


def backup(gallery: GalleryFolder, out: Out, as_json: AsJson = False) -> None:
    """Write a backup, also while a service runs; it appears whole or not at all."""
    with report_interrupt(f"{out} was not written"):
        with progress_bar("copying", "bytes") as progress, Gallery.open_existing(gallery) as opened:
            manifest = backups.back_up(opened, out, utc_now(), progress)
        record(load_config(), gallery, "backup")
    size = f"{manifest.bytes / 2**20:,.1f} MiB"
    text = f"wrote backup {manifest.id} of {manifest.items:,} items ({size}) to {out}"
    emit(manifest.model_dump() | {"out": out}, text, as_json=as_json)


def restore(backup: Backup, gallery: GalleryFolder, replace: Replace = False, as_json: AsJson = False) -> None:
    """Restore a gallery; what was erased since the backup is erased again. Not while a service runs."""
    with report_interrupt("the gallery is unchanged; run the same command again"):
        restored = restore_backup(backup, gallery, replace=replace)
        record(load_config(), gallery, "restore")
    manifest = restored.manifest
    values = {"gallery": gallery, "items": restored.items, "erased_again": restored.erased_again}
    text = (
        f"restored {restored.items:,} items of {manifest.created_at.isoformat()} to {gallery}, "
        f"{restored.erased_again:,} erased again; its bundle is {manifest.bundle_id[:12]}"
    )
    emit(values | {"bundle_id": manifest.bundle_id}, text, as_json=as_json)


def drop_backup(gallery: GalleryFolder, backup_id: BackupId, gone: Gone = False, as_json: AsJson = False) -> None:
    """Remove a backup, so that receipts of erasures do not name it any more."""
    with Gallery.open_existing(gallery) as opened:
        place = backups.drop_backup(opened, backup_id, utc_now(), gone=gone)
    left = sorted(path.name for path in place.iterdir()) if place.is_dir() and not gone else []
    text = f"backup {backup_id} is gone" + (f"; {place} stays, since it also holds {left[0]!r}" if left else "")
    emit({"backup": backup_id, "place": place, "remaining": left}, text, as_json=as_json)
