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
from vitreid.service.search.pipeline import NoMatch, SearchResult
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
        if answer.result is not None:
            names = ", ".join(map(str, answer.paths))
            cameras = ", ".join(sorted({camera_id or "not known" for camera_id in answer.camera_ids}))
            console.print(_table(answer.result, f"{names} (camera {cameras})", group_by))
            if answer.result.no_match:
                best = answer.result.best_score
                closest = "" if best is None else f"; the best has {best:.4f}"
                console.print(f"no candidates: {WHY_NONE[answer.result.no_match]}{closest}")
    if calibration := next((each.result.calibration for each in answers if each.result), None):
        console.print(
            f"Probability: how often such pairs by two cameras showed one person in {calibration.data.name}, where "
            f"{100 * calibration.prior:.3g}% of all pairs do.",
            style="dim",
        )
    console.print(NOTE, style="dim")


def _table(result: SearchResult, title: str, group_by: GroupBy) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    calibrated = result.calibration is not None
    if calibrated:
        table.add_column("probability", justify="right")
    if group_by != "item":
        table.add_column("items", justify="right")
    table.add_column("person")
    table.add_column("camera")
    table.add_column("source", overflow="fold")
    for rank, candidate in enumerate(result.candidates, start=1):
        item = candidate.match.item
        probability = "" if candidate.probability is None else f"{candidate.probability:.1%}"
        probabilities = [probability] if calibrated else []
        counted = [] if group_by == "item" else [str(candidate.group_size)]
        labels = [Text(value or "") for value in (item.person_id, item.camera_id, item.source)]
        table.add_row(str(rank), f"{candidate.match.score:.4f}", *probabilities, *counted, *labels)
    return table


def _as_json(answer: Answer, group_by: GroupBy) -> dict[str, object]:
    shown: dict[str, object] = {
        "image": str(answer.paths[0]),
        "images": [str(path) for path in answer.paths],
        "camera_id": answer.camera_ids[0],
    }
    result = answer.result
    if result is None:
        return shown | {"matches": [], "error": answer.error}
    bodies = matches_of(result, group_by)
    matches = [match.model_dump(mode="json", exclude=ONLY_SERVED) for match in bodies]
    return shown | {
        "matches": matches,
        "no_match": result.no_match is not None,
        "no_match_reason": result.no_match,
        "best_score": result.best_score,
        "searched": result.searched,
        "gallery_size": result.gallery_size,
    }
