"""The optional parts of the report of `vitreid evaluate`. A new part is a function and a line in PARTS and TEXTS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring import (
    Labelled,
    RetrievalScores,
    ScoringError,
    compare_scores,
    pool_queries,
    score_camera_pairs,
    score_intervals,
    score_open_set,
    score_retrieval,
)
from vitreid.scoring.patches import Half, reranked_blocks
from vitreid.scoring.reranking import Reranking, reranked_distances
from vitreid.training.datasets import Sample, Split
from vitreid.training.side_labels import SideLabels, side_warnings

MEASURES = ("mAP", "rank1", "rank5", "rank10", "mINP")


@dataclass(frozen=True)
class Evaluated:
    """A data set embedded by a model, and its scores."""

    split: Split
    query: Labelled
    gallery: Labelled
    scores: RetrievalScores
    foregrounds: tuple[Sequence[Half], Sequence[Half]] = ((), ())
    """Of queries and gallery, where their patches were looked at."""
    reranking: Reranking = field(default_factory=Reranking)
    """By which numbers k-reciprocal re-ranking goes."""
    sides: Mapping[str, SideLabels] = field(default_factory=dict)
    """What the model makes of their cameras and views, where it tells them apart."""


def report(evaluated: Evaluated, parts: Iterable[str], other: Evaluated | None = None) -> dict[str, Any]:
    """The scores, the parts asked for by their names in PARTS, and with `other` a `comparison` with its scores.

    A part that has nothing to tell about these images is a string that says why.
    """
    told: dict[str, Any] = evaluated.scores.summary() | _sides(evaluated)
    for name in parts:
        told[name] = _told(PARTS[name], evaluated)
    if other is not None:
        told["comparison"] = _told(_comparison, evaluated, other)
    return told


def text(told: dict[str, Any]) -> Iterator[str]:
    """A report as lines, the scores first."""
    yield brief(told)
    yield from _sides_text(told.get("sides", {}))
    for name, lines in TEXTS.items():
        if name in told:
            part = told[name]
            yield from (f"{name.replace('_', ' ')}: {part}",) if isinstance(part, str) else lines(part)


def brief(scores: dict[str, Any]) -> str:
    """Scores on one line; those that are missing are left out."""
    shown = [f"{name} {scores[name]:.4f}" for name in MEASURES if name in scores]
    counts = [f"{scores[name]} {name}" for name in ("queries", "skipped", "gallery") if name in scores]
    return "  ".join(shown + counts)


def _told(tell: Callable[..., Any], *evaluated: Evaluated) -> Any:
    try:
        return tell(*evaluated)
    except ScoringError as error:
        return str(error)


def _sides(evaluated: Evaluated) -> dict[str, Any]:
    return {"sides": {kind: asdict(each) for kind, each in evaluated.sides.items()}} if evaluated.sides else {}


def _intervals(evaluated: Evaluated) -> dict[str, Any]:
    return {name: asdict(interval) for name, interval in score_intervals(evaluated.scores.per_query).items()}


def _camera_pairs(evaluated: Evaluated) -> list[dict[str, Any]]:
    query = evaluated.query.take(_known(evaluated.split.query))
    gallery = evaluated.gallery.take(_known(evaluated.split.gallery))
    return [asdict(pair) for pair in score_camera_pairs(query, gallery)]


def _known(samples: tuple[Sample, ...]) -> NDArray[np.bool_]:
    return np.array([sample.camera is not None for sample in samples])


def _open_set(evaluated: Evaluated) -> list[dict[str, Any]]:
    return [asdict(row) for row in score_open_set(evaluated.query, evaluated.gallery)]


def _multi_query(evaluated: Evaluated) -> dict[str, Any]:
    pooled = pool_queries(evaluated.query)
    if len(pooled) == len(evaluated.query):
        raise ScoringError("every query is the only one of its person by its camera, so there is nothing to pool")
    return score_retrieval(pooled, evaluated.gallery).summary()


def _rerank(evaluated: Evaluated) -> dict[str, Any]:
    query, gallery = evaluated.query, evaluated.gallery
    numbers = asdict(evaluated.reranking)
    distances = reranked_distances(query.embeddings, gallery.embeddings, **numbers)
    return score_retrieval(query, gallery, scores=(-block for block in distances)).summary() | {
        "k1": numbers["k1"],
        "k2": numbers["k2"],
        "lambda": numbers["original_share"],
    }


def _patches(evaluated: Evaluated) -> dict[str, Any]:
    query, gallery = evaluated.query, evaluated.gallery
    blocks = reranked_blocks(query, gallery, *evaluated.foregrounds)
    reranked = score_retrieval(query, gallery, scores=blocks)
    return reranked.summary() | {"difference": _difference(reranked, evaluated.scores)}


def _comparison(evaluated: Evaluated, other: Evaluated) -> dict[str, Any]:
    return other.scores.summary() | _sides(other) | {"difference": _difference(evaluated.scores, other.scores)}


def _difference(first: RetrievalScores, second: RetrievalScores) -> dict[str, Any]:
    return {name: asdict(row) for name, row in compare_scores(first.per_query, second.per_query).items()}


def _sides_text(part: dict[str, Any]) -> Iterator[str]:
    yield from (f"note: {line}" for line in side_warnings({kind: SideLabels(**each) for kind, each in part.items()}))


def _intervals_text(part: dict[str, Any]) -> Iterator[str]:
    yield "intervals of 95 %, by bootstrap over persons"
    yield from table([[name, *(f"{row[end]:.4f}" for end in ("low", "high"))] for name, row in part.items()])


def _camera_pairs_text(part: list[dict[str, Any]]) -> Iterator[str]:
    asked, offered = (list(dict.fromkeys(row[side] for row in part)) for side in ("query_camera", "gallery_camera"))
    cells = {(row["query_camera"], row["gallery_camera"]): row for row in part}
    offered.sort(key=lambda camera: (len(camera), camera))
    for measure in ("mAP", "rank1"):
        yield f"{measure} by camera of the query (rows) and of the gallery (columns)"
        rows = [[f"{cells[a, b][measure]:.3f}" if (a, b) in cells else "-" for b in offered] for a in asked]
        yield from table([["", *offered], *([a, *row] for a, row in zip(asked, rows, strict=True))])


def _open_set_text(part: list[dict[str, Any]]) -> Iterator[str]:
    yield "open set: persons missed (FNIR) where so many strangers may be answered (FPIR)"
    header = ["enrolled", "images", "allowed FPIR", "FPIR", "FNIR", "at rank 1", "spread"]
    names = ("allowed_fpir", "fpir", "fnir", "fnir_rank1", "spread")
    rows = [[str(r["enrolled"]), f"{r['images']:.0f}", *(f"{r[name]:.4f}" for name in names)] for r in part]
    yield from table([header, *rows])


def _multi_query_text(part: dict[str, Any]) -> Iterator[str]:
    yield f"multi-query  {brief(part)}"


def _rerank_text(part: dict[str, Any]) -> Iterator[str]:
    numbers = ", ".join(f"{name} {part[name]:g}" for name in ("k1", "k2", "lambda"))
    yield f"re-ranked ({numbers})  {brief(part)}"


def _patches_text(part: dict[str, Any]) -> Iterator[str]:
    yield f"re-ranked by patches  {brief(part)}"
    yield from _difference_text("what patches add", part["difference"])


def _comparison_text(part: dict[str, Any]) -> Iterator[str]:
    yield f"the other  {brief(part)}"
    yield from _sides_text(part.get("sides", {}))
    yield from _difference_text("difference to the other", part["difference"])


def _difference_text(what: str, part: dict[str, Any]) -> Iterator[str]:
    yield f"{what}, intervals of 95 % by paired bootstrap over persons"
    header = ["", "difference", "low", "high", "below zero"]
    rows = [
        [name, *(f"{row[key]:+.4f}" for key in ("value", "low", "high")), f"{row['below_zero']:.1%}"]
        for name, row in part.items()
    ]
    yield from table([header, *rows])


def table(rows: list[list[str]]) -> Iterator[str]:
    """Lines of rows whose columns stand below each other, each aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))


PARTS: dict[str, Callable[[Evaluated], Any]] = {
    "intervals": _intervals,
    "camera_pairs": _camera_pairs,
    "open_set": _open_set,
    "multi_query": _multi_query,
    "rerank": _rerank,
    "patches": _patches,
}
TEXTS: dict[str, Callable[[Any], Iterator[str]]] = {
    "intervals": _intervals_text,
    "camera_pairs": _camera_pairs_text,
    "open_set": _open_set_text,
    "multi_query": _multi_query_text,
    "rerank": _rerank_text,
    "patches": _patches_text,
    "comparison": _comparison_text,
}
