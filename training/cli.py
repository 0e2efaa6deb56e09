"""The commands that make and score checkpoints. Each parses, calls one function and prints."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreid.scoring.patches import Half
from vitreid.scoring.reranking import Reranking
from vitreid.training.data_options import DATA_HELP, Data, Dataset, Pattern, pattern_of, read_noted, source_of
from vitreid.training.datasets import Sources, Split
from vitreid.training.errors import ConfigError
from vitreid.training.import_cli import import_weights
from vitreid.training.report import Evaluated, brief, report
from vitreid.training.score_table import TABLES, as_lines, as_values
from vitreid.training.screen import RunScreen, console, counted

if TYPE_CHECKING:
    from vitreid.training.evaluate import Embedder

ROWS, TOP = 10, 10  # of an image of rank lists

app = typer.Typer(no_args_is_help=True)
app.command("import-weights")(import_weights)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Folder to make, in Market-1501's layout.")],
    identities: Annotated[int, typer.Option(help="Persons in all.")] = 100,
    cameras: Annotated[int, typer.Option(help="Cameras, each with its own look.")] = 6,
    images: Annotated[int, typer.Option(help="Images per person and camera.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
    train: Annotated[int, typer.Option(help="How many of the persons are for training.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw a data set of made-up people."""
    from vitreid.synthetic import draw_dataset

    with counted("drawing", "images") as progress:
        summary = draw_dataset(
            out,
            identities=identities,
            cameras=cameras,
            images=images,
            seed=seed,
            train_identities=train,
            progress=progress,
        )
    counts = {"train": summary.train, "query": summary.query, "gallery": summary.gallery}
    if as_json:
        typer.echo(json.dumps({"out": str(out), **counts}))
    else:
        typer.echo(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + " images")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a .toml file.")],
    data: Annotated[list[str], typer.Option(help=f"{DATA_HELP} Several are trained on together.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; best/ and last/ in it are checkpoints.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value of the recipe: part.key=value.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Another data set to be scored on: FOLDER or NAME=FOLDER.")] = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last saved epoch.")] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder in which TensorBoard finds the run.")] = None,
    as_json: Json = False,
) -> None:
    """Train a model."""
    import torch

    from vitreid.training.config import load_recipe, of_dataset
    from vitreid.training.curves import Board
    from vitreid.training.datasets.remarks import remarks
    from vitreid.training.distributed import joined, process_device
    from vitreid.training.precision import precision_notes
    from vitreid.training.records import check_output
    from vitreid.training.train import Trainer

    config = load_recipe(recipe, change or ())
    _check_test(test, config.data.holdout_persons)
    check_output(out, resume=resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    sources = Sources.parse(data, test, dataset or config.data.stated, pattern_of(name_pattern))
    config = of_dataset(config, sources.dataset)
    device, split = process_device(), sources.read()
    try:
        with joined(device) as ranks, RunScreen(quiet=not ranks.first) as screen:
            trainer = Trainer(config, split, sources.name, device, ranks, fresh=not resume)
            if resume:
                trainer.resume(out)
            screen.epochs = len(trainer.history)
            notes = remarks(trainer.split, config.data.images_per_identity, config.model.side)
            notes += [] if resume else trainer.notes
            notes += precision_notes(trainer.precision, device)
            screen.begin(
                f"training {config.model.backbone} on {device}: {len(trainer.persons)} persons, "
                f"{len(trainer.split.train)} images, {config.epochs} epochs, {trainer.precision}",
                *(f"note: {line}" for line in notes),
            )
            watched = Board(screen, tensorboard) if tensorboard and ranks.first else screen
            best = trainer.run(out, watched)
    except KeyboardInterrupt:
        done = screen.epochs
        kept = (
            f"{done} epochs are kept in {out}; go on with the same command and --resume" if done else "no epoch ended"
        )
        console.print(f"vitreid: interrupted in epoch {done + 1}; {kept}", soft_wrap=True)
        raise typer.Exit(130) from None
    if ranks.first:
        found = {"out": str(out), "best_epoch": best.metrics["epoch"], "scores": best.metrics["scores"]}
        line = f"{out}: best epoch {best.metrics['epoch']} {brief(best.metrics['scores'])}".rstrip()
        typer.echo(json.dumps(found) if as_json else line)


def _check_test(test: str | None, holdout_persons: int) -> None:
    """A recipe that holds persons back is scored on those."""
    if test is not None and holdout_persons:
        raise ConfigError(
            f"--test {test} would not be used: epochs are scored on {holdout_persons} persons that the recipe keeps "
            "back from training; leave --test out, or give --set data.holdout_persons=0"
        )


@app.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or checkpoints.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    as_json: Json = False,
) -> None:
    """Draw what runs did over their epochs: losses, rate and scores."""
    from vitreid.training.checkpoint import Checkpoint
    from vitreid.training.curves import draw_curves

    _check_png("--out", out)
    histories = {str(run): Checkpoint.open(run / "last" if (run / "last").is_dir() else run).metrics for run in runs}
    draw_curves({name: metrics.get("history", []) for name, metrics in histories.items()}, out)
    told = {"out": str(out), "epochs": {name: len(metrics.get("history", [])) for name, metrics in histories.items()}}
    typer.echo(json.dumps(told) if as_json else str(out))


@app.command()
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
    from vitreid.training.evaluate import open_embedder

    if table is not None and (table not in TABLES or as_json):
        raise typer.BadParameter(f"--table is one of {', '.join(TABLES)}, and does not go with --json")
    if len(models) > 1 and (compare is not None or rank_lists is not None):
        raise typer.BadParameter("--compare and --rank-lists take one model")
    if rank_lists is not None:
        _check_png("--rank-lists", rank_lists)
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
    from vitreid.training.patches import look_at_split

    with counted("looking", "images") as progress:
        return look_at_split(split, model, cameras, progress)


def _draw_rank_lists(evaluated: Evaluated, out: Path) -> None:
    from vitreid.training.rank_lists import answers, chosen_rows, draw_rank_lists

    rows = chosen_rows(len(evaluated.query), ROWS)
    found = answers(evaluated.query, evaluated.gallery, rows, TOP)
    draw_rank_lists(evaluated.split.query, evaluated.split.gallery, rows, found).save(out)


def _check_png(option: str, out: Path) -> None:
    """Before anything is computed for it."""
    if out.suffix != ".png" or out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"{option} {out} must be a file named *.png in a folder that exists and can be written to")


def _evaluated(embedder: Embedder, split: Split) -> Evaluated:
    from vitreid.scoring import score_retrieval
    from vitreid.training.evaluate import embed_split
    from vitreid.training.side_labels import side_labels

    with counted("embedding", "images") as progress:
        query, gallery = embed_split(split, embedder, progress)
    sides = side_labels((*split.query, *split.gallery), cameras=embedder.cameras, views=embedder.views)
    return Evaluated(split, query, gallery, score_retrieval(query, gallery), sides=sides)
