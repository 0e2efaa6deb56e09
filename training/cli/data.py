"""`vitreid data`: faults of a data set before training, and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vitreid.terminal import AsJson, emit, progress_bar
from vitreid.training.checks import PUBLISHED, Finding, check, scan
from vitreid.training.cli.options import DATA_HELP, Dataset, Pattern, source_of
from vitreid.training.datasets import Sample, Split
from vitreid.training.datasets.dividing import divide, write_divided

SHOWN = 3  # cases of a finding in the text; JSON has all
COLUMNS = ("images", "persons", "cameras")

HELP = "Check data sets, and split them into train, query and gallery."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Out = Annotated[Path, typer.Option(help="A table to write (*.csv), or a folder to make in Market-1501's layout.")]
SplitLayout = Annotated[str | None, typer.Option(help="Layout of data without NAME=; folders when left out.")]
TestPersons = Annotated[int | None, typer.Option(help="Number of persons in query and gallery; default half of them.")]
Seed = Annotated[int, typer.Option(help="Same seed and data, same parts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what was read and would be written.")]


@app.command("check")
def check_data(data: Data, dataset: Dataset = None, name_pattern: Pattern = None, as_json: AsJson = False) -> None:
    """Find faults of a data set, and count what is left out; exits with 1 where there are errors.

    The published counts of a data set are compared where its name is given.
    """
    source = source_of(data, dataset, name_pattern)
    split = source.read()
    named = dataset or ("=" in data and source.dataset) or ""
    with progress_bar("reading") as progress:
        scanned = scan(split.samples, progress)
    findings = check(split, scanned, PUBLISHED.get(named, ()))
    parts = _parts(split)
    found = [
        {"level": each.level, "kind": each.kind, "count": len(each.cases), "message": each.message, "cases": each.cases}
        for each in findings
    ]
    left_out = [{"reason": each.reason, "count": len(each.paths), "paths": each.paths} for each in split.left_out]
    values = {"data": source.path, "dataset": source.dataset, "parts": parts}
    lines = [*_table(parts), *_lines(findings), *_left_out(split, source.path)]
    emit(values | {"findings": found, "left_out": left_out}, lines, as_json=as_json)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


@app.command("split")
def split_data(
    data: Data,
    out: Out,
    dataset: SplitLayout = None,
    name_pattern: Pattern = None,
    test_persons: TestPersons = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Split a data set by person into train, query and gallery; it is written whole or not at all.

    A table names the images where they are; a folder gets renamed copies, and names.csv with their original names.
    """
    usual = None if Path(data).is_file() else "folders"
    source = source_of(data, dataset or usual, name_pattern)
    read = source.read()
    divided = divide(read, source.name, test_persons=test_persons, seed=seed)
    if not dry_run:
        write_divided(divided, out)
    parts = _parts(divided)
    examples = [_example(each) for each in read.samples[:SHOWN]] if dry_run else []
    done = f"{out}: {'would be written' if dry_run else 'written'}"
    lines = [*_table(parts), *examples, *_left_out(read, source.path), done]
    emit({"out": out, "dry_run": dry_run, "seed": seed, "parts": parts}, lines, as_json=as_json)


Parts = Mapping[str, Mapping[str, int]]


def _parts(split: Split) -> Parts:
    return {
        name: {
            "images": len(samples),
            "persons": len({sample.person for sample in samples}),
            "cameras": len({sample.camera for sample in samples} - {None}),
        }
        for name, samples in (("train", split.train), ("query", split.query), ("gallery", split.gallery))
    }


def _example(sample: Sample) -> str:
    return f"{'read as':8}  {sample.path}: person {sample.person}, camera {sample.camera}"


def _table(parts: Parts) -> list[str]:
    rows = [[name, *(f"{part[column]:,}" for column in COLUMNS)] for name, part in parts.items()]
    return [f"{name:<8}" + "".join(f"{value:>10}" for value in values) for name, *values in [["", *COLUMNS], *rows]]


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield "nothing is wrong"
    for finding in findings:
        yield from _counted(finding.level, finding.message, finding.cases)


def _left_out(split: Split, folder: Path) -> Iterator[str]:
    for each in split.left_out:
        inside = [path.relative_to(folder) if path.is_relative_to(folder) else path for path in each.paths]
        yield from _counted("left out", each.reason, list(map(str, inside)))


def _counted(level: str, text: str, cases: Sequence[str]) -> Iterator[str]:
    yield f"{level:<8}{len(cases):>10,}  {text}"
    yield from (f"{'':20}{case}" for case in cases[:SHOWN])
    if (left := len(cases) - SHOWN) > 0:
        yield f"{'':20}and {left:,} more"
