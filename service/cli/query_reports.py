"""What `vitreid query` prints: tables for people, or one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitreid.service.api.schemas.common import NOTE
from vitreid.service.api.schemas.query import matches_of
from vitreid.service.cli.query_actions import Answer
from vitreid.service.search import Found
from vitreid.service.search.answering import NoMatch
from vitreid.service.search.request import GroupBy

ONLY_SERVED = {"image_url"}
WHY_NONE: dict[NoMatch, str] = {
    "empty-gallery": "the gallery is empty",
    "nothing-passed-the-filter": "no item passes the conditions",
    "below-min-score": "none has the score asked for",
}


def print_answers(answers: Sequence[Answer], *, group_by: GroupBy, as_json: bool) -> None:
    """Candidates for each query."""
    for answer in answers:
        if answer.error:
            print(f"vitreid: {answer.error}", file=sys.stderr)
    if as_json:
        queries = [_as_json(answer, group_by) for answer in answers]
        print(json.dumps({"queries": queries, "note": NOTE}, ensure_ascii=False))
        return
    console = Console()
    for answer in answers:
        if answer.found is not None:
            names = ", ".join(map(str, answer.paths))
            cameras = ", ".join(sorted({camera_id or "not known" for camera_id in answer.camera_ids}))
            console.print(_table(answer, answer.found, f"{names} (camera {cameras})", group_by))
            if answer.found.no_match:
                best = answer.found.best_score
                closest = "" if best is None else f"; the best has {best:.4f}"
                console.print(f"no candidates: {WHY_NONE[answer.found.no_match]}{closest}")
    if calibration := answers[0].meaning.calibration:
        console.print(
            f"Probability: how often such pairs by two cameras showed one person in {calibration.data.name}, where "
            f"{100 * calibration.prior:.3g}% of all pairs do.",
            style="dim",
        )
    console.print(NOTE, style="dim")


def _table(answer: Answer, found: Found, title: str, group_by: GroupBy) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    calibrated = answer.meaning.calibration is not None
    if calibrated:
        table.add_column("probability", justify="right")
    if group_by != "item":
        table.add_column("items", justify="right")
    table.add_column("person")
    table.add_column("camera")
    table.add_column("source", overflow="fold")
    for rank, (candidate, size) in enumerate(zip(found.candidates, found.sizes, strict=True), start=1):
        item = candidate.match.item
        probability = answer.meaning.probability(candidate)
        told = ["" if probability is None else f"{probability:.1%}"] if calibrated else []
        counted = [] if group_by == "item" else [str(size)]
        labels = [Text(value or "") for value in (item.person_id, item.camera_id, item.source)]
        table.add_row(str(rank), f"{candidate.match.score:.4f}", *told, *counted, *labels)
    return table


def _as_json(answer: Answer, group_by: GroupBy) -> dict[str, object]:
    asked: dict[str, object] = {
        "image": str(answer.paths[0]),
        "images": [str(path) for path in answer.paths],
        "camera_id": answer.camera_ids[0],
    }
    found = answer.found
    if found is None:
        return asked | {"matches": [], "error": answer.error}
    shown = matches_of(found, answer.meaning, group_by)
    matches = [match.model_dump(mode="json", exclude=ONLY_SERVED) for match in shown]
    return asked | {
        "matches": matches,
        "no_match": found.no_match is not None,
        "no_match_reason": found.no_match,
        "best_score": found.best_score,
        "searched": found.searched,
        "gallery_size": found.gallery_size,
    }
