"""`vitreid evaluate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreid.scoring.patches import Half
from vitreid.scoring.reranking import Reranking
from vitreid.training.cli.data_options import Data, Dataset, Pattern, read_noted, source_of
from vitreid.training.cli.options import Json, check_png
from vitreid.training.cli.screen import counted
from vitreid.training.datasets import Split
from vitreid.training.evaluation.report import Evaluated, report
from vitreid.training.evaluation.score_table import TABLES, as_lines, as_values

if TYPE_CHECKING:
    from vitreid.training.evaluation.embed import Embedder

ROWS, TOP = 10, 10  # of an image of rank lists


def evaluate(
    models: Annotated[
        list[Path], typer.Argument(help="Checkpoints, folders of runs, or bundles; several make one table.")
    ],
    data: Data,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="How far the scores may be chance.")] = False,
    camera_pairs: Annotated[bool, typer.Option("--camera-pairs", help="Scores of each pair of cameras.")] = False,
    open_set: Annotated[
        bool, typer.Option("--open-set", help="Persons missed where few strangers may be answered.")
    ] = False,
    multi_query: Annotated[
        bool, typer.Option("--multi-query", help="Scores with the queries of a person by a camera pooled.")
    ] = False,
    rerank: Annotated[bool, typer.Option("--rerank", help="Scores after k-reciprocal re-ranking.")] = False,
    rerank_k1: Annotated[int, typer.Option(help="Of --rerank: neighbours that are looked at.")] = 20,
    rerank_k2: Annotated[int, typer.Option(help="Of --rerank: neighbours whose neighbourhoods are averaged.")] = 6,
    rerank_lambda: Annotated[float, typer.Option(help="Of --rerank: share of the original distance.")] = 0.3,
    patches: Annotated[
        bool, typer.Option("--patches", help="Scores after re-ranking by patches; for bundles with explain.onnx.")
    ] = False,
    other_cameras: Annotated[
        bool, typer.Option("--other-cameras", help="The images are by other cameras than those that it learned.")
    ] = False,
    compare: Annotated[Path | None, typer.Option(help="Another model, to be compared on the same images.")] = None,
    rank_lists: Annotated[
        Path | None, typer.Option(help="PNG to draw some queries and their best answers into.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Print a table of the scores for a paper or a spreadsheet: md, latex or csv.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score checkpoints or bundles by the Market-1501 protocol."""
    from vitreid.training.evaluation.embed import open_embedder

    if table is not None and (table not in TABLES or as_json):
        raise typer.BadParameter(f"--table is one of {', '.join(TABLES)}, and does not go with --json")
    if len(models) > 1 and (compare is not None or rank_lists is not None):
        raise typer.BadParameter("--compare and --rank-lists take one model")
    if rank_lists is not None:
        check_png("--rank-lists", rank_lists)
    reranking = Reranking(rerank_k1, rerank_k2, rerank_lambda)
    if reranking != Reranking() and not rerank:
        raise typer.BadParameter("--rerank-k1, --rerank-k2 and --rerank-lambda belong to --rerank")
    source = source_of(data, dataset, name_pattern)
    split = read_noted(source)
    asked = {
        "intervals": intervals,
        "camera_pairs": camera_pairs,
        "open_set": open_set,
        "multi_query": multi_query,
        "rerank": rerank,
        "patches": patches,
    }
    cameras = None if other_cameras else source.name
    compared = [open_embedder(path).at_cameras_of(cameras) for path in [compare] if path]  # before hours of embedding
    looked = [_looked_at(model, split, cameras) if patches else ((), ()) for model in models]
    embedders = [open_embedder(model).at_cameras_of(cameras) for model in models]
    told = list[tuple[str, dict[str, Any]]]()
    for model, embedder, foregrounds in zip(models, embedders, looked, strict=True):
        evaluated, *others = (_evaluated(each, split) for each in (embedder, *compared))
        evaluated = replace(evaluated, foregrounds=foregrounds, reranking=reranking)
        if rank_lists is not None:
            _draw_rank_lists(evaluated, rank_lists)
        told.append((str(model), report(evaluated, [name for name, wanted in asked.items() if wanted], *others)))
    typer.echo(json.dumps(as_values(told)) if as_json else TABLES[table](told) if table else "\n".join(as_lines(told)))


def _looked_at(model: Path, split: Split, cameras: str | None) -> tuple[list[Half], list[Half]]:
    from vitreid.training.evaluation.patches import look_at_split

    with counted("looking", "images") as progress:
        return look_at_split(split, model, cameras, progress)


def _draw_rank_lists(evaluated: Evaluated, out: Path) -> None:
    from vitreid.training.evaluation.rank_lists import answers, chosen_rows, draw_rank_lists

    rows = chosen_rows(len(evaluated.query), ROWS)
    found = answers(evaluated.query, evaluated.gallery, rows, TOP)
    draw_rank_lists(evaluated.split.query, evaluated.split.gallery, rows, found).save(out)


def _evaluated(embedder: Embedder, split: Split) -> Evaluated:
    from vitreid.scoring import score_retrieval
    from vitreid.training.evaluation.embed import embed_split
    from vitreid.training.side_labels import side_labels

    with counted("embedding", "images") as progress:
        query, gallery = embed_split(split, embedder, progress)
    sides = side_labels((*split.query, *split.gallery), cameras=embedder.cameras, views=embedder.views)
    return Evaluated(split, query, gallery, score_retrieval(query, gallery), sides=sides)
