"""Train the recipes `cuhk03-small*` for the ablation, with several seeds each.

    python -m benchmarks.ablation DATA RUNS [--processes 2] [--only ROW ...]

DATA is CUHK03 in Market-1501's layout. 200 of its training persons are held out and scored together with the test
persons: one query from each camera, the rest as gallery. Every run is a folder in RUNS; complete runs are skipped, and
interrupted ones are resumed. `python -m benchmarks.ablation_report RUNS` prints the results.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation_rows import ROWS, Row
from vitreid.training.config import load_recipe
from vitreid.training.datasets import Split, hold_out, read_dataset
from vitreid.training.evaluation.embed import evaluate, open_retrieval_model
from vitreid.training.reid_task import reid_trainer
from vitreid.training.task import Progress

HELD_OUT = 200


@dataclass(frozen=True)
class Job:
    """A run: a row with one of its seeds."""

    row: Row
    seed: int
    data: Path
    runs: Path

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.runs / f"{self.row.name}-{self.seed}"

    @property
    def scores(self) -> Path:
        """The file with the scores of every query, which is written last."""
        return self.folder / "scores.npz"


class Silent:
    """An observer that ignores everything."""

    def step(self, progress: Progress) -> None:
        """Ignore a step."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Ignore an epoch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--processes", type=int, default=2, help="runs at a time, each on one core")
    parser.add_argument("--only", nargs="*", metavar="ROW", choices=[*ROWS], default=[*ROWS])
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    jobs = [job for job in planned(options.data, options.runs, options.only) if not job.scores.is_file()]
    fresh = get_context("spawn")
    with ProcessPoolExecutor(options.processes, fresh, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(run, job): job for job in jobs}
        for number, future in enumerate(as_completed(waiting), 1):
            job, (mean, minutes) = waiting[future], future.result()
            print(f"{number}/{len(jobs)} {job.folder.name}: mAP {mean:.4f}, {minutes:.1f} min", flush=True)


def planned(data: Path, runs: Path, names: list[str]) -> list[Job]:
    """Return the runs of the named rows: the first seed of every row, then more seeds, rows with many seeds first."""
    jobs = [Job(row, seed, data, runs) for row in map(ROWS.__getitem__, names) for seed in range(row.seeds)]
    return sorted(jobs, key=lambda job: (job.seed > 0, -job.row.seeds, job.seed))


def scored_split(data: Path) -> Split:
    """Return the training persons without the held-out ones; query and gallery have these and the test persons."""
    whole = read_dataset("market1501", data)
    held = hold_out(whole, HELD_OUT, seed=0)
    return Split(held.train, held.query + whole.query, held.gallery + whole.gallery)


def run(job: Job) -> tuple[float, float]:
    """Train and score; return the mAP and the minutes of CPU time for all epochs."""
    torch.set_num_threads(1)
    config = load_recipe(job.row.recipe, [*job.row.changes, f"seed={job.seed}", "threads=1"])
    split, started = scored_split(job.data), time.process_time()
    trainer = reid_trainer(config, split, "cuhk03", torch.device("cpu"))
    if (job.folder / "last").is_dir():
        trainer.resume(job.folder)
    trained_before = len(trainer.history)
    trainer.run(job.folder, Silent())
    scored = evaluate(split, open_retrieval_model(job.folder / "last")).per_query
    minutes = (time.process_time() - started) / 60
    if trained_before < config.epochs:  # extrapolate the time of an interrupted run
        minutes *= config.epochs / (config.epochs - trained_before)
    whole = job.folder / "scores.part.npz"
    np.savez(whole, minutes=minutes, **{name: getattr(scored, name) for name in scored.__dataclass_fields__})
    os.replace(whole, job.scores)
    return float(scored.average_precision.mean()), minutes


if __name__ == "__main__":
    main()
