"""A run of training from its arguments: recipe, data and output folder to a Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.config import load_recipe, of_dataset
from vitreid.training.datasets import Sources
from vitreid.training.datasets.warnings import data_warnings
from vitreid.training.distributed import SINGLE_PROCESS, World, process_device
from vitreid.training.errors import ConfigError
from vitreid.training.loop import Trainer
from vitreid.training.precision import precision_notes
from vitreid.training.records import check_output
from vitreid.training.reid_task import ReIDTask, reid_trainer


def open_run(
    recipe: str,
    data: Sequence[str],
    out: Path,
    *,
    changes: Sequence[str] = (),
    test: str | None = None,
    dataset: str | None = None,
    pattern: NamePattern | None = None,
    resume: bool = False,
    world: World = SINGLE_PROCESS,
) -> Trainer[ReIDTask]:
    """Load a recipe and read its data sets; `resume` continues the run in `out`.

    Raises ConfigError, DataError, CheckpointError, WeightsError.
    """
    config = load_recipe(recipe, changes)
    if test is not None and config.data.holdout_persons:
        raise ConfigError(
            f"--test {test} would not be used: epochs are scored on {config.data.holdout_persons} persons that the "
            "recipe holds out of training; leave --test out, or give --set data.holdout_persons=0"
        )
    check_output(out, resume=resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    sources = Sources.parse(data, test, dataset or config.data.stated, pattern)
    config = of_dataset(config, sources.dataset)
    trainer = reid_trainer(config, sources.read(), sources.name, process_device(), world, fresh=not resume)
    if resume:
        trainer.resume(out)
    return trainer


def run_notes(trainer: Trainer[ReIDTask]) -> list[str]:
    """Return what is odd about the data, the start of the model and the precision of a run."""
    task, config = trainer.task, trainer.task.config
    notes = data_warnings(task.split, config.data.images_per_identity, config.model.sie)
    notes += [] if trainer.history else task.notes
    return notes + precision_notes(trainer.precision, trainer.device)
