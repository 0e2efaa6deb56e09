"""Train what the recipes `cuhk03-small*` compare, several seeds each.

    python -m benchmarks.ablation DATA RUNS [--processes 2] [--only ROW ...]

DATA is CUHK03 in Market-1501's layout. Of its training persons 200 are held back and scored together with the test
persons: a query by each camera, the rest as gallery. Every run is a folder in RUNS; one that is complete is not trained
again, one that was interrupted goes on. `python -m benchmarks.ablation_report RUNS` says what came of it.
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
from vitreid.training.evaluation.embed import evaluate, open_embedder
from vitreid.training.loop import Trainer
from vitreid.training.progress import Progress

HELD_BACK = 200


@dataclass(frozen=True)
class Job:
    """One run: a row with one of its seeds."""

    row: Row
    seed: int
    data: Path
    runs: Path

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.runs / f"{self.row.name}-{self.seed}"

    @property
    def scores(self) -> Path:
        """What every query scored; it is written last."""
        return self.folder / "scores.npz"


class Silent:
    """Hears of a run and tells nothing."""

    def step(self, progress: Progress) -> None:
        """Say nothing."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Say nothing."""


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
    """All runs of the rows named: the first seed of every row, then more of those that most are compared with."""
    jobs = [Job(row, seed, data, runs) for row in map(ROWS.__getitem__, names) for seed in range(row.seeds)]
    return sorted(jobs, key=lambda job: (job.seed > 0, -job.row.seeds, job.seed))


def scored_split(data: Path) -> Split:
    """Training persons less those held back; queries and gallery of these and of the test persons."""
    whole = read_dataset("market1501", data)
    held = hold_out(whole, HELD_BACK, seed=0)
    return Split(held.train, held.query + whole.query, held.gallery + whole.gallery)


def run(job: Job) -> tuple[float, float]:
    """Train and score; returns mAP and the minutes of computing, of all epochs."""
    torch.set_num_threads(1)
    config = load_recipe(job.row.recipe, [*job.row.changes, f"seed={job.seed}", "threads=1"])
    split, started = scored_split(job.data), time.process_time()
    trainer = Trainer(config, split, "cuhk03", torch.device("cpu"))
    if (job.folder / "last").is_dir():
        trainer.resume(job.folder)
    trained_before = len(trainer.history)
    trainer.run(job.folder, Silent())
    scored = evaluate(split, open_embedder(job.folder / "last")).per_query
    minutes = (time.process_time() - started) / 60
    if trained_before < config.epochs:  # an interrupted run would have taken so long in one go
        minutes *= config.epochs / (config.epochs - trained_before)
    whole = job.folder / "scores.part.npz"
    np.savez(whole, minutes=minutes, **{name: getattr(scored, name) for name in scored.__dataclass_fields__})
    os.replace(whole, job.scores)
    return float(scored.average_precision.mean()), minutes


if __name__ == "__main__":
    main()
