"""Output of all commands: the result on stdout, as text or one JSON document, and everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERRUPTED = 130
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Progress = Callable[..., None]
"""Called with the number of things done and their total and, where it changes, with the title of the bar."""


def emit(values: object, text: str | Iterable[RenderableType], *, as_json: bool) -> None:
    """Print a result on stdout: `values` as one JSON document, or the lines and tables of `text`."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False, default=_json_value))
        return
    for each in [text] if isinstance(text, str) else text:
        if isinstance(each, str):
            print(each)
        else:
            from rich.console import Console

            Console().print(each)


def note(text: str) -> None:
    """Print a note on stderr."""
    print(f"note: {text}", file=sys.stderr)


def end_interrupted(remedy: str) -> NoReturn:
    """End a command after Ctrl-C: one line on stderr and the exit code 130."""
    print(f"vitreid: interrupted; {remedy}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED) from None


@contextmanager
def report_interrupt(remedy: str) -> Iterator[None]:
    """End the command on Ctrl-C within the block."""
    try:
        yield
    except KeyboardInterrupt:
        end_interrupted(remedy)


@contextmanager
def progress_bar(title: str, unit: str = "images") -> Iterator[Progress]:
    """Show a bar on stderr until the block ends, where stderr is a terminal; yields the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    counted = "{task.completed:,} of {task.total:,.0f} " + unit + ", {task.fields[rate]:,.0f}/s"
    amount = DownloadColumn() if unit == "bytes" else TextColumn(counted)
    console, started = Console(stderr=True), perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=0, rate=0.0)

        def move(done: int, total: int, what: str = title) -> None:
            rate = done / max(perf_counter() - started, 1e-9)
            bar.update(task, completed=done, total=max(done, total), description=what, rate=rate)

        yield move


def _json_value(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else vars(value)
