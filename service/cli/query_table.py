"""Answers of `vitreid query`: tables for people, and JSON as in the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vitreid.service.api.schemas.common import NOTE
from vitreid.service.api.schemas.query import matches_of
from vitreid.service.cli.query import Answer
from vitreid.service.search.pipeline import NoMatch, SearchResult
from vitreid.service.search.request import GroupBy

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

ONLY_SERVED = {"image_url"}
NO_MATCH_REASONS: dict[NoMatch, str] = {
    "empty-gallery": "the gallery is empty",
    "nothing-passed-the-filter": "no item passes the conditions",
    "below-min-score": "none reaches the minimum score",
}


def values(answers: Sequence[Answer], group_by: GroupBy) -> dict[str, object]:
    """Return all answers for JSON."""
    return {"queries": [_values(answer, group_by) for answer in answers], "note": NOTE}


def lines(answers: Sequence[Answer], group_by: GroupBy) -> Iterator[RenderableType]:
    """Yield a table of candidates for each query that could be read, and notes."""
    from rich.text import Text

    for answer in answers:
        if answer.result is not None:
            names = ", ".join(map(str, answer.paths))
            cameras = ", ".join(sorted({camera_id or "unknown" for camera_id in answer.camera_ids}))
            yield _table(answer.result, f"{names} (camera {cameras})", group_by)
            if answer.result.no_match:
                best = answer.result.best_score
                closest = "" if best is None else f"; the best has {best:.4f}"
                yield f"no candidates: {NO_MATCH_REASONS[answer.result.no_match]}{closest}"
    if calibration := next((each.result.calibration for each in answers if each.result), None):
        yield Text(
            f"Probability: how often such pairs by two cameras showed one person in {calibration.data.name}, where "
            f"{100 * calibration.prior:.3g}% of all pairs do.",
            style="dim",
        )
    yield Text(NOTE, style="dim")


def _table(result: SearchResult, title: str, group_by: GroupBy) -> Table:
    from rich.table import Table
    from rich.text import Text

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


def _values(answer: Answer, group_by: GroupBy) -> dict[str, object]:
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
