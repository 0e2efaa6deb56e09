"""What `vitreid gallery` prints: tables and sentences for people, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vitreid.service.cli.gallery_actions import Details, Listed
from vitreid.service.gallery import GalleryInfo
from vitreid.service.gallery.maintenance.backup import BackupManifest
from vitreid.service.gallery.maintenance.reembedding import Reembedded
from vitreid.service.gallery.maintenance.restoring import Restored
from vitreid.service.gallery.maintenance.verification import Verified
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.intake.cameras import CameraReport

COLUMNS = {"items": MofNCompleteColumn, "bytes": DownloadColumn}
NAME_WIDTH = 24
SHOWN_BUNDLE = 12  # letters of a bundle_id that people are shown


@contextmanager
def progress(title: str, *, unit: Literal["items", "bytes"] = "items") -> Iterator[Callable[..., None]]:
    """A bar on stderr, silent where nobody watches; call what it gives with done, total and perhaps a new title."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), COLUMNS[unit](), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def tell(done: int, total: int, what: str = title) -> None:
            bar.update(task, completed=done, total=max(done, total), description=what)

        yield tell


def print_line(values: Mapping[str, object], line: str, *, as_json: bool) -> None:
    """One sentence, or what it says as JSON."""
    print(_json(values) if as_json else line)


def print_list(galleries: Sequence[Listed], *, as_json: bool) -> None:
    """The galleries of a data folder."""
    if as_json:
        print(_json(galleries))
        return
    table = Table("name", "items", "size", "bundle")
    for each in galleries:
        if each.problem is not None:
            table.add_row(each.name, "", "", Text(each.problem, style="red"))
        else:
            assert each.items is not None
            assert each.bytes is not None
            table.add_row(each.name, f"{each.items:,}", _size(each.bytes), (each.bundle_id or "")[:SHOWN_BUNDLE])
    Console().print(table)


def print_cameras(cameras: Sequence[CameraReport], *, as_json: bool) -> None:
    """A gallery's cameras and what the model takes them for."""
    if as_json:
        print(_json(cameras))
        return
    table = Table("camera", "learned", "items", "stale", "rejected")
    for each in cameras:
        rejected = ", ".join(f"{rule} {count:,}" for rule, count in each.rejected.items())
        name, learned = each.camera_id or "(unknown)", each.learned or "(unknown)"
        table.add_row(name, learned, f"{each.items:,}", f"{each.stale:,}", rejected)
    Console().print(table)


def print_details(details: Details, *, as_json: bool) -> None:
    """One gallery."""
    if as_json:
        print(_json(details))
        return
    info = details.info
    snapshot = "none" if info.snapshot_at is None else f"of {info.snapshot_at.isoformat()}, seq {info.snapshot_seq}"
    lines: dict[str, object] = {
        "folder": info.path,
        "items": f"{info.items:,} with {info.images:,} images, {info.persons:,} persons",
        "patches": f"of {info.patches:,} images",
        "cameras": ", ".join(f"{camera} ({count:,})" for camera, count in info.cameras.items()) or "none known",
        "bundle": f"{info.bundle_id} ({info.dimension} numbers)",
        "index": f"{info.index} ({info.index_reason})",
        "snapshot": snapshot,
        "size": _size(info.bytes),
        "history": f"seq {info.seq}, lineage {info.lineage}",
        "deleted items": "purged from all files" if details.purged else "not purged from the files yet",
        **{f"setting {name}": value for name, value in details.settings.model_dump(mode="json").items()},
    }
    for each in details.generations:
        lines[f"generation {each['id']}"] = f"{each['state']}, bundle {each['bundle_id'][:SHOWN_BUNDLE]}"
    for each in details.backups:
        lines[f"backup {each['id']}"] = f"{each['place']}, seq {each['seq']}, {each['created_at'].isoformat()}"
    for name, value in lines.items():
        print(f"{name:<{NAME_WIDTH}} {value}")


def print_verified(verified: Verified, *, as_json: bool) -> None:
    """What was read, and each finding on a line."""
    if as_json:
        print(_json(verified))
        return
    for finding in verified.findings:
        print(f"{finding.where}: {finding.what}")
    read = ", ".join(f"{count:,} {what}" for what, count in verified.counts.items())
    recall = "" if verified.recall is None else f"; the index finds {verified.recall:.1%} of the nearest items"
    print(f"read {read}{recall}; {len(verified.findings) or 'no'} findings")


def print_rebuilt(info: GalleryInfo, *, as_json: bool) -> None:
    """The new index."""
    line = f"built index {info.index} of {info.items:,} items ({info.index_reason}) and wrote a snapshot"
    print_line({"index": info.index, "items": info.items, "parameters": info.index_parameters}, line, as_json=as_json)


def print_backup(manifest: BackupManifest, out: Path, *, as_json: bool) -> None:
    """A backup that was made."""
    line = f"wrote backup {manifest.id} of {manifest.items:,} items ({_size(manifest.bytes)}) to {out}"
    print_line(manifest.model_dump() | {"out": str(out)}, line, as_json=as_json)


def print_restored(restored: Restored, gallery: Path, *, as_json: bool) -> None:
    """A gallery that was put back."""
    manifest = restored.manifest
    line = (
        f"restored {restored.items:,} items of {manifest.created_at.isoformat()} to {gallery}, "
        f"{restored.erased_again:,} erased again; it is of bundle {manifest.bundle_id[:SHOWN_BUNDLE]}"
    )
    values = {"gallery": str(gallery), "items": restored.items, "erased_again": restored.erased_again}
    print_line(values | {"bundle_id": manifest.bundle_id}, line, as_json=as_json)


def print_reembedded(done: Reembedded, *, as_json: bool) -> None:
    """A gallery with a new model."""
    line = (
        f"{done.items:,} items answer with bundle {done.bundle_id[:SHOWN_BUNDLE]} (generation {done.generation}) now, "
        f"{len(done.dropped):,} without an image were deleted; start services of this gallery again with it, "
        f"and drop the old embeddings with `vitreid gallery drop-generation GALLERY {done.previous}`"
    )
    print_line(asdict(done), line, as_json=as_json)


def print_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """What was erased, and what is still to be done."""
    if as_json:
        print(_json(receipt))
        return
    print(f"erased {receipt.items:,} items with {receipt.images:,} images; receipt {receipt.id}")
    if receipt.purged_at is not None:
        print(f"purged from all files of the gallery at {receipt.purged_at.isoformat()}")
    else:
        print("not purged from the files yet: the running service will, or `vitreid gallery rebuild`")
    for each in receipt.remaining:
        if each.kind == "backup":
            print(f"backup {each.id} at {each.place} may still hold them; `vitreid gallery drop-backup` removes it")


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    assert is_dataclass(value)
    assert not isinstance(value, type)
    return vars(value)
