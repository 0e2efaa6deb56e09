"""The progress of a training run on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from vitreid.terminal import end_interrupted
from vitreid.training.evaluation.report import brief


class RunScreen:
    """An observer of a run: a bar for the current epoch, and a line for each that ended.

    It also ends the command on Ctrl-C, with the way to resume.
    """

    def __init__(self, out: Path, *, quiet: bool) -> None:
        self.epochs = 0
        self._out = out
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn(
                "loss {task.fields[loss]:.3f}  lr {task.fields[lr]:.1e}  "
                "{task.fields[rate]:.0f} images/s  {task.fields[left]} left"
            ),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", epoch="", loss=0.0, lr=0.0, rate=0.0, left="?")
        self._speed = ""

    def __enter__(self) -> RunScreen:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
        if kind is KeyboardInterrupt:
            resume = f"{self.epochs} epochs are saved in {self._out}; run the same command with --resume to continue"
            end_interrupted(resume if self.epochs else "no epoch has ended, so nothing was saved")

    def begin(self, *lines: str) -> None:
        """Print what the run is about and its notes, then show the bar."""
        for line in lines:
            self._console.print(line, soft_wrap=True)
        self._progress.start()

    def step(self, progress: Any) -> None:
        """Move the bar."""
        left = _duration(progress.left_s)
        self._speed = f"{progress.images_per_s:.0f} images/s  {left} left"
        self._progress.update(
            self._task,
            total=progress.steps,
            completed=progress.step,
            epoch=f"{progress.epoch}/{progress.epochs}",
            loss=progress.loss,
            lr=progress.lr,
            rate=progress.images_per_s,
            left=left,
        )

    def epoch(self, record: dict[str, Any]) -> None:
        """Print a line for an epoch that ended."""
        self.epochs = record["epoch"]
        line = f"epoch {record['epoch']}  loss {record['loss']:.4f}  lr {record['lr']:.2e}  {self._speed}"
        self._console.print(f"{line}  {brief(record)}".rstrip(), soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
