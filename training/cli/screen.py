"""What a command shows on stderr while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vitreid.training.evaluation.report import brief

console = Console(stderr=True, highlight=False)


@contextmanager
def counted(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar until the block ends, where somebody watches; it is told how many are done, of how many."""
    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} " + unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class RunScreen:
    """A run on the terminal: a bar for the epoch under way, a line for each that ended."""

    def __init__(self, *, quiet: bool) -> None:
        self.epochs = 0
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

    def __exit__(self, *_: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    def begin(self, *lines: str) -> None:
        """Print what the run is about and what is odd about it, then show the bar."""
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
        told = f"epoch {record['epoch']}  loss {record['loss']:.4f}  lr {record['lr']:.2e}  {self._speed}"
        self._console.print(f"{told}  {brief(record)}".rstrip(), soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
