"""`vitreid train`: a data set and a recipe into a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.terminal import AsJson, emit
from vitreid.training.cli.options import DATA_HELP, Dataset, Pattern, pattern_of

if TYPE_CHECKING:
    from vitreid.training.cli.screen import RunScreen
    from vitreid.training.loop import Trainer
    from vitreid.training.reid_task import ReIDTask

Recipe = Annotated[str, typer.Argument(help="Name of a recipe, or a .toml file.")]
Data = Annotated[list[str], typer.Option(help=f"{DATA_HELP} Several are trained on together.")]
Out = Annotated[Path, typer.Option(help="Folder of the run; best/ and last/ in it are checkpoints.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change a value of the recipe: part.key=value.")]
Test = Annotated[str | None, typer.Option(help="Another data set to score on: FOLDER or NAME=FOLDER.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue after the last saved epoch.")]
TensorBoard = Annotated[Path | None, typer.Option("--tensorboard", help="Folder of a log for TensorBoard.")]


def train(
    recipe: Recipe,
    data: Data,
    out: Out,
    change: Changes = None,
    test: Test = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    resume: Resume = False,
    tensorboard: TensorBoard = None,
    as_json: AsJson = False,
) -> None:
    """Train a model."""
    from vitreid.training.cli.screen import RunScreen
    from vitreid.training.distributed import init_distributed, process_device
    from vitreid.training.evaluation.curves import TensorBoardWriter
    from vitreid.training.evaluation.report import brief
    from vitreid.training.run import open_run

    pattern = pattern_of(name_pattern)
    with init_distributed(process_device()) as world, RunScreen(out, quiet=not world.first) as screen:
        trainer = open_run(
            recipe, data, out, changes=change or (), test=test, dataset=dataset, pattern=pattern, resume=resume,
            world=world,
        )  # fmt: skip
        _begin(screen, trainer)
        best_path = trainer.run(out, TensorBoardWriter(screen, tensorboard) if tensorboard and world.first else screen)
    if world.first:
        from vitreid.training.checkpoint import Checkpoint

        best = Checkpoint.open(best_path).metrics
        line = f"{out}: best epoch {best['epoch']} {brief(best['scores'])}".rstrip()
        emit({"out": out, "best_epoch": best["epoch"], "scores": best["scores"]}, line, as_json=as_json)


def _begin(screen: RunScreen, trainer: Trainer[ReIDTask]) -> None:
    from vitreid.training.run import run_notes

    config, task = trainer.task.config, trainer.task
    screen.epochs = len(trainer.history)
    screen.begin(
        f"training {config.model.backbone} on {trainer.device}: {len(task.persons)} persons, "
        f"{len(task.split.train)} images, {config.epochs} epochs, {trainer.precision}",
        *(f"note: {line}" for line in run_notes(trainer)),
    )
