"""Galleries as text: tables and lines of `vitreid gallery`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from vitreid.service.gallery.maintenance.overview import Details, Listed
from vitreid.service.gallery.maintenance.verification import Verified
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.intake.cameras import CameraReport

NAME_WIDTH = 24
SHOWN_BUNDLE = 12
"""Letters of a bundle_id that people see."""


def size(count: int) -> str:
    """Return a number of bytes in MiB."""
    return f"{count / 2**20:,.1f} MiB"


def listed(galleries: Sequence[Listed]) -> Iterator[Table]:
    """Yield a table of galleries."""
    table = Table("name", "items", "size", "bundle")
    for each in galleries:
        if each.items is None or each.bytes is None:
            table.add_row(each.name, "", "", Text(each.problem or "", style="red"))
        else:
            table.add_row(each.name, f"{each.items:,}", size(each.bytes), (each.bundle_id or "")[:SHOWN_BUNDLE])
    yield table


def cameras(reports: Sequence[CameraReport]) -> Iterator[Table]:
    """Yield a table of a gallery's cameras."""
    table = Table("camera", "model camera", "items", "stale", "rejected")
    for each in reports:
        rejected = ", ".join(f"{rule} {count:,}" for rule, count in each.rejected.items())
        name, learned = each.camera_id or "(unknown)", each.learned or "(unknown)"
        table.add_row(name, learned, f"{each.items:,}", f"{each.stale:,}", rejected)
    yield table


def details(found: Details) -> Iterator[str]:
    """Yield a line for each fact about a gallery."""
    info = found.info
    snapshot = "none" if info.snapshot_at is None else f"of {info.snapshot_at.isoformat()}, seq {info.snapshot_seq}"
    facts: dict[str, object] = {
        "folder": info.path,
        "items": f"{info.items:,} with {info.images:,} images, {info.persons:,} persons",
        "patches": f"of {info.patches:,} images",
        "cameras": ", ".join(f"{camera} ({count:,})" for camera, count in info.cameras.items()) or "none known",
        "bundle": f"{info.bundle_id} ({info.dimension} numbers)",
        "index": f"{info.index} ({info.index_reason})",
        "snapshot": snapshot,
        "size": size(info.bytes),
        "history": f"seq {info.seq}, lineage {info.lineage}",
        "deleted items": "purged from all files" if found.purged else "not purged from the files yet",
        **{f"setting {name}": value for name, value in found.settings.model_dump(mode="json").items()},
    }
    for each in found.generations:
        facts[f"generation {each['id']}"] = f"{each['state']}, bundle {each['bundle_id'][:SHOWN_BUNDLE]}"
    for each in found.backups:
        facts[f"backup {each['id']}"] = f"{each['place']}, seq {each['seq']}, {each['created_at'].isoformat()}"
    yield from (f"{name:<{NAME_WIDTH}} {value}" for name, value in facts.items())


def verified(result: Verified) -> Iterator[str]:
    """Yield each finding, and what was read."""
    yield from (f"{finding.where}: {finding.what}" for finding in result.findings)
    read = ", ".join(f"{count:,} {what}" for what, count in result.counts.items())
    recall = "" if result.recall is None else f"; the index finds {result.recall:.1%} of the nearest items"
    yield f"read {read}{recall}; {len(result.findings) or 'no'} findings"


def erased(receipt: Receipt) -> Iterator[str]:
    """Yield what was erased and purged, and what remains."""
    yield f"erased {receipt.items:,} items with {receipt.images:,} images; receipt {receipt.id}"
    if receipt.purged_at is not None:
        yield f"purged from all files of the gallery at {receipt.purged_at.isoformat()}"
    else:
        yield "not purged from the files yet: the running service will do it, or `vitreid gallery rebuild`"
    for each in receipt.remaining:
        if each.kind == "backup":
            yield f"backup {each.id} at {each.place} may still hold them; `vitreid gallery drop-backup` removes it"
