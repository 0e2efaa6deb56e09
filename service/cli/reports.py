"""What the commands print: tables and sentences for people, or one JSON object."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from vitreid.bundle.vocabulary import LABELS
from vitreid.service.intake.folders import PassedOver, counted
from vitreid.service.intake.indexing import EmbeddedImages, IndexReport
from vitreid.service.intake.label_summary import LabelSummary
from vitreid.service.intake.outcomes import Added, InvalidBox, NotEmbedded, QualityRejected, SkippedFile

_Refused = SkippedFile | InvalidBox | NotEmbedded | QualityRejected | PassedOver

SHOWN = 10  # warnings of one run, and ignored files


def print_index(report: IndexReport, gallery: Path, *, dry_run: bool, as_json: bool) -> None:
    """What became of a folder that was indexed."""
    if as_json:
        _print_json(
            {
                "gallery": str(gallery),
                "dry_run": dry_run,
                "added": report.added,
                "duplicates": report.duplicates,
                "relabelled": report.relabelled,
                "differing": [
                    {"path": each.path, "item_id": each.item_id, "labels": each.differing} for each in report.differing
                ],
                "labels": _labels_as_json(report.labels),
                "bad": _refusals_as_json(report.bad),
                "rejected": _refusals_as_json(report.rejected),
                "warnings": [{"path": each.path, "reason": each.warning} for each in report.warnings],
                "ignored": _refusals_as_json(report.ignored),
                "seconds": round(report.seconds, 3),
                "images_per_s": round(report.images_per_s, 1),
            }
        )
        return
    _print_bad(report.bad)
    _print_warnings(report.warnings)
    _print_ignored(report.ignored)
    if dry_run and report.labels is not None:
        print("\n".join(_labels_text(report.labels)))
    print(
        f"{'would add' if dry_run else 'added'} {report.added:,} to {gallery}, {report.duplicates:,} there already"
        f"{_differing(report)}, "
        f"{sum(each.items for each in report.bad):,} unusable{_rejected(report.rejected)}; "
        f"{report.seconds:.1f} s, {report.images_per_s:,.0f} images/s"
    )


def print_embed(embedded: EmbeddedImages, out: Path, *, as_json: bool) -> None:
    """What became of a folder that was embedded."""
    images, dimension = embedded.embeddings.shape
    if as_json:
        bad = _refusals_as_json(embedded.bad)
        ignored = _refusals_as_json(embedded.ignored)
        _print_json({"out": str(out), "images": images, "dimension": dimension, "bad": bad, "ignored": ignored})
        return
    _print_bad(embedded.bad)
    _print_ignored(embedded.ignored)
    print(f"wrote {images:,} embeddings of {dimension} numbers to {out}, {len(embedded.bad):,} unusable")


def _refusals_as_json(refusals: Iterable[_Refused]) -> list[dict[str, str]]:
    return [{"path": each.path, "reason": each.reason} for each in refusals]


def _differing(report: IndexReport) -> str:
    """What became of images that are there already with other labels."""
    if not report.differing:
        return ""
    if report.relabelled:
        return f" ({report.relabelled:,} of them relabelled)"
    names = ", ".join(sorted({name for each in report.differing for name in each.differing}))
    return f" ({len(report.differing):,} of them with another {names}, kept; --relabel takes the new ones)"


def _labels_text(labels: LabelSummary) -> Iterator[str]:
    """What was read of names and files, for whoever tries a pattern or a table."""
    times = f"{labels.first:%Y-%m-%dT%H:%M:%SZ} to {labels.last:%Y-%m-%dT%H:%M:%SZ}" if labels.first else "none"
    yield (
        f"read {labels.images:,} images: {labels.persons:,} persons ({labels.without_person:,} images without), "
        f"{labels.cameras:,} cameras ({labels.without_camera:,} without), {labels.tracks:,} tracks, times {times} "
        f"({labels.without_time:,} without)"
    )
    for path, label in labels.examples:
        said = {name: getattr(label, name) for name in LABELS if getattr(label, name) is not None}
        shown = ", ".join(
            f"{name} {value.isoformat() if name == 'captured_at' else value}" for name, value in said.items()
        )
        yield f"  {path}: {shown or 'no labels'}"


def _labels_as_json(labels: LabelSummary | None) -> dict[str, object] | None:
    if labels is None:
        return None
    counts = {name: value for name, value in asdict(labels).items() if name != "examples"}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in counts.items()}


def _rejected(rejected: Sequence[QualityRejected]) -> str:
    if not rejected:
        return ""
    rules = Counter(each.violation.rule for each in rejected)
    return f", {len(rejected):,} rejected ({', '.join(f'{rule} {n:,}' for rule, n in sorted(rules.items()))})"


def _print_bad(bad: Sequence[SkippedFile | InvalidBox | NotEmbedded]) -> None:
    if bad:
        print(f"{sum(each.items for each in bad):,} unusable:", file=sys.stderr)
    for each in bad:
        print(f"  {each.path}: {each.reason}", file=sys.stderr)


def _print_warnings(warnings: Sequence[Added]) -> None:
    for each in warnings[:SHOWN]:
        print(f"warning: {each.path}: {each.warning}", file=sys.stderr)
    if len(warnings) > SHOWN:
        print(f"warning: and {len(warnings) - SHOWN:,} more; --json lists all", file=sys.stderr)


def _print_ignored(ignored: Sequence[PassedOver]) -> None:
    if not ignored:
        return
    print(f"{len(ignored):,} ignored ({counted(ignored)}):", file=sys.stderr)
    for each in ignored[:SHOWN]:
        print(f"  {each.path}: {each.reason}", file=sys.stderr)
    if len(ignored) > SHOWN:
        print(f"  and {len(ignored) - SHOWN:,} more; --json lists all", file=sys.stderr)


def _print_json(content: object) -> None:
    print(json.dumps(content, ensure_ascii=False))
