"""`vitreid evaluate`: scores of models on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreid.terminal import AsJson, emit, progress_bar
from vitreid.training.cli.options import Data, Dataset, OtherCameras, Pattern, check_png, read_noted, source_of

if TYPE_CHECKING:
    from vitreid.scoring.patches import Half
    from vitreid.scoring.reranking import Reranking
    from vitreid.training.datasets import Split
    from vitreid.training.evaluation.embed import RetrievalModel
    from vitreid.training.evaluation.report import Evaluated

ROWS, TOP = 10, 10  # queries and answers in an image of rank lists

Models = Annotated[list[Path], typer.Argument(help="Checkpoints, folders of runs, or bundles; several make a table.")]
Intervals = Annotated[bool, typer.Option("--intervals", help="Confidence intervals of the scores.")]
CameraPairs = Annotated[bool, typer.Option("--camera-pairs", help="Scores of each pair of cameras.")]
OpenSet = Annotated[bool, typer.Option("--open-set", help="Missed persons at low rates of false alarms.")]
MultiQuery = Annotated[bool, typer.Option("--multi-query", help="Scores with a person's queries by a camera pooled.")]
Rerank = Annotated[bool, typer.Option("--rerank", help="Scores after k-reciprocal re-ranking.")]
RerankK1 = Annotated[int, typer.Option(help="For --rerank: size of the neighbourhood.")]
RerankK2 = Annotated[int, typer.Option(help="For --rerank: neighbours that are averaged.")]
RerankLambda = Annotated[float, typer.Option(help="For --rerank: share of the original distance.")]
Patches = Annotated[
    bool, typer.Option("--patches", help="Scores after re-ranking by patches; for bundles with explain.onnx.")
]
Compare = Annotated[Path | None, typer.Option(help="Another model to compare with, on the same images.")]
RankLists = Annotated[Path | None, typer.Option(help="PNG of some queries and their best answers.")]
Table = Annotated[str | None, typer.Option(help="Print the scores as a table: md, latex or csv.")]


def evaluate(
    models: Models,
    data: Data,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    intervals: Intervals = False,
    camera_pairs: CameraPairs = False,
    open_set: OpenSet = False,
    multi_query: MultiQuery = False,
    rerank: Rerank = False,
    rerank_k1: RerankK1 = 20,
    rerank_k2: RerankK2 = 6,
    rerank_lambda: RerankLambda = 0.3,
    patches: Patches = False,
    other_cameras: OtherCameras = False,
    compare: Compare = None,
    rank_lists: RankLists = None,
    table: Table = None,
    as_json: AsJson = False,
) -> None:
    """Score checkpoints or bundles by the Market-1501 protocol."""
    from vitreid.scoring.reranking import Reranking
    from vitreid.training.evaluation.score_table import TABLES, as_lines, as_values

    reranking = Reranking(rerank_k1, rerank_k2, rerank_lambda)
    _check_options(table, as_json, models, compare, rank_lists, None if rerank else reranking)
    source = source_of(data, dataset, name_pattern)
    wanted = {"intervals": intervals, "camera_pairs": camera_pairs, "open_set": open_set, "multi_query": multi_query}
    wanted |= {"rerank": rerank, "patches": patches}
    parts = [name for name, on in wanted.items() if on]
    cameras = None if other_cameras else source.name
    reports = _reports(models, read_noted(source), cameras, parts, compare, reranking, rank_lists)
    emit(as_values(reports), TABLES[table](reports) if table else as_lines(reports), as_json=as_json)


def _check_options(
    table: str | None,
    as_json: bool,
    models: Sequence[Path],
    compare: Path | None,
    rank_lists: Path | None,
    unused: Reranking | None,
) -> None:
    from vitreid.scoring.reranking import Reranking
    from vitreid.training.evaluation.score_table import TABLES

    if table is not None and (table not in TABLES or as_json):
        raise typer.BadParameter(f"--table is one of {', '.join(TABLES)}, and does not go with --json")
    if len(models) > 1 and (compare is not None or rank_lists is not None):
        raise typer.BadParameter("--compare and --rank-lists take one model")
    if unused not in (None, Reranking()):
        raise typer.BadParameter("--rerank-k1, --rerank-k2 and --rerank-lambda need --rerank")
    if rank_lists is not None:
        check_png("--rank-lists", rank_lists)


def _reports(
    models: Sequence[Path],
    split: Split,
    cameras: str | None,
    parts: Sequence[str],
    compare: Path | None,
    reranking: Reranking,
    rank_lists: Path | None,
) -> list[tuple[str, dict[str, Any]]]:
    """Open all models, which takes seconds, before any is scored, which may take hours."""
    from vitreid.training.evaluation.embed import open_retrieval_model
    from vitreid.training.evaluation.report import report

    compared = [open_retrieval_model(path).at_cameras_of(cameras) for path in [compare] if path]
    foregrounds = [_foregrounds(model, split, cameras) if "patches" in parts else ((), ()) for model in models]
    embedders = [open_retrieval_model(model).at_cameras_of(cameras) for model in models]
    reports = list[tuple[str, dict[str, Any]]]()
    for model, embedder, found in zip(models, embedders, foregrounds, strict=True):
        evaluated, *others = (_evaluated(each, split) for each in (embedder, *compared))
        evaluated = replace(evaluated, foregrounds=found, reranking=reranking)
        if rank_lists is not None:
            _draw_rank_lists(evaluated, rank_lists)
        reports.append((str(model), report(evaluated, parts, *others)))
    return reports


def _foregrounds(model: Path, split: Split, cameras: str | None) -> tuple[list[Half], list[Half]]:
    from vitreid.training.evaluation.patches import look_at_split

    with progress_bar("finding foregrounds") as progress:
        return look_at_split(split, model, cameras, progress)


def _draw_rank_lists(evaluated: Evaluated, out: Path) -> None:
    from vitreid.training.evaluation.rank_lists import answers, chosen_rows, draw_rank_lists

    rows = chosen_rows(len(evaluated.query), ROWS)
    found = answers(evaluated.query, evaluated.gallery, rows, TOP)
    draw_rank_lists(evaluated.split.query, evaluated.split.gallery, rows, found).save(out)


def _evaluated(embedder: RetrievalModel, split: Split) -> Evaluated:
    from vitreid.scoring import score_retrieval
    from vitreid.training.evaluation.embed import embed_split
    from vitreid.training.evaluation.report import Evaluated
    from vitreid.training.side_labels import side_labels

    with progress_bar("embedding") as progress:
        query, gallery = embed_split(split, embedder, progress)
    sides = side_labels((*split.query, *split.gallery), cameras=embedder.cameras, views=embedder.views)
    return Evaluated(split, query, gallery, score_retrieval(query, gallery), sides=sides)
