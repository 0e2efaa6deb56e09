"""`vitreid train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vitreid.training.cli.data_options import DATA_HELP, Dataset, Pattern, pattern_of
from vitreid.training.cli.options import Json
from vitreid.training.cli.screen import RunScreen, console
from vitreid.training.datasets import Sources
from vitreid.training.errors import ConfigError
from vitreid.training.evaluation.report import brief


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
    from vitreid.training.datasets.remarks import remarks
    from vitreid.training.distributed import joined, process_device
    from vitreid.training.evaluation.curves import Board
    from vitreid.training.loop import Trainer
    from vitreid.training.precision import precision_notes
    from vitreid.training.records import check_output

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
            notes = remarks(trainer.split, config.data.images_per_identity, config.model.sie)
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
