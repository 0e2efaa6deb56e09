"""What the commands print: tables and sentences for people, or one JSON object."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.commands import Answer
from service.embedding import EmbeddedImages
from service.gallery import Match
from service.indexing import IndexReport
from service.reading import Refusal
from service.schemas.common import NOTE


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


def print_answers(answers: Sequence[Answer], *, as_json: bool) -> None:
    """Candidates for each picture."""
    for answer in answers:
        if answer.error:
            print(f"reid: {answer.error}", file=sys.stderr)
    if as_json:
        _print_json({"queries": [_answer_as_json(answer) for answer in answers], "note": NOTE})
        return
    console = Console()
    for answer in answers:
        if answer.error is None:
            title = f"{answer.path} (camera {answer.camera_id or 'not known'})"
            console.print(match_table(answer.matches, title))
            if not answer.matches:
                console.print("no candidates: the gallery is empty, or none has the score asked for")
    console.print(NOTE, style="dim")


def match_table(matches: Iterable[Match], title: str) -> Table:
    """Candidates as rows, best first."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("person")
    table.add_column("camera")
    table.add_column("source", overflow="fold")
    for rank, match in enumerate(matches, start=1):
        item = match.item
        labels = [Text(value or "") for value in (item.person_id, item.camera_id, item.source)]
        table.add_row(str(rank), f"{match.score:.4f}", *labels)
    return table


def _answer_as_json(answer: Answer) -> dict[str, object]:
    matches = [
        {
            "rank": rank,
            "id": match.item.id,
            "score": match.score,
            "person_id": match.item.person_id,
            "camera_id": match.item.camera_id,
            "track_id": match.item.track_id,
            "captured_at": None if match.item.captured_at is None else match.item.captured_at.isoformat(),
            "source": match.item.source,
        }
        for rank, match in enumerate(answer.matches, start=1)
    ]
    found: dict[str, object] = {"image": str(answer.path), "camera_id": answer.camera_id, "matches": matches}
    return found if answer.error is None else found | {"error": answer.error}


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
