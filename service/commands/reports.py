"""What the commands print: tables and sentences for people, or one JSON object."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from service.intake.embedding import EmbeddedImages
from service.intake.indexing import IndexReport
from service.intake.reading import Refusal


def print_index(report: IndexReport, gallery: Path, *, dry_run: bool, as_json: bool) -> None:
    """What became of a folder that was indexed."""
    if as_json:
        _print_json(
            {
                "gallery": str(gallery),
                "dry_run": dry_run,
                "added": report.added,
                "duplicates": report.duplicates,
                "bad": _refusals_as_json(report.bad),
                "rejected": _refusals_as_json(report.rejected),
                "seconds": round(report.seconds, 3),
                "images_per_s": round(report.images_per_s, 1),
            }
        )
        return
    _print_bad(report.bad)
    print(
        f"{'would add' if dry_run else 'added'} {report.added:,} to {gallery}, {report.duplicates:,} there already, "
        f"{sum(each.items for each in report.bad):,} unusable{_rejected(report.rejected)}; "
        f"{report.seconds:.1f} s, {report.images_per_s:,.0f} images/s"
    )


def print_embed(embedded: EmbeddedImages, out: Path, *, as_json: bool) -> None:
    """What became of a folder that was embedded."""
    images, dimension = embedded.embeddings.shape
    if as_json:
        bad = _refusals_as_json(embedded.bad)
        _print_json({"out": str(out), "images": images, "dimension": dimension, "bad": bad})
        return
    _print_bad(embedded.bad)
    print(f"wrote {images:,} embeddings of {dimension} numbers to {out}, {len(embedded.bad):,} unusable")


def _refusals_as_json(refusals: Iterable[Refusal]) -> list[dict[str, str]]:
    return [{"path": each.path, "reason": each.reason} for each in refusals]


def _rejected(rejected: Sequence[Refusal]) -> str:
    if not rejected:
        return ""
    rules = Counter(each.rule or "" for each in rejected)
    return f", {len(rejected):,} rejected ({', '.join(f'{rule} {n:,}' for rule, n in sorted(rules.items()))})"


def _print_bad(bad: Sequence[Refusal]) -> None:
    if bad:
        print(f"{sum(each.items for each in bad):,} unusable:", file=sys.stderr)
    for each in bad:
        print(f"  {each.path}: {each.reason}", file=sys.stderr)


def _print_json(content: object) -> None:
    print(json.dumps(content, ensure_ascii=False))
