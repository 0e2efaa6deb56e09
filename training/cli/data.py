"""`vitreid data`: what is to be known of a data set before it is trained on, and its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vitreid.training.checks import PUBLISHED, Finding, check, scan
from vitreid.training.cli.data_options import DATA_HELP, Dataset, Pattern, source_of
from vitreid.training.cli.screen import counted
from vitreid.training.datasets import Split
from vitreid.training.datasets.dividing import divide, write_divided

SHOWN = 3  # cases of a finding in the text; JSON has all

HELP = "Check data sets, and split them into train, query and gallery."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.command("check")
def check_data(data: Data, dataset: Dataset = None, name_pattern: Pattern = None, as_json: Json = False) -> None:
    """Look for what is wrong with a data set, and count what is left out; exits with 1 where there are errors.

    The published counts of a data set are compared where its name is given.
    """
    source = source_of(data, dataset, name_pattern)
    split = source.read()
    named = dataset or ("=" in data and source.dataset) or ""
    with counted("reading", "images") as progress:
        scanned = scan(split.samples, progress)
    findings = check(split, scanned, PUBLISHED.get(named, ()))
    parts = _parts(split)
    if as_json:
        found = [
            {"level": each.level, "kind": each.kind, "count": len(each.cases), "told": each.told, "cases": each.cases}
            for each in findings
        ]
        left_out = [
            {"reason": each.reason, "count": len(each.paths), "paths": [str(path) for path in each.paths]}
            for each in split.left_out
        ]
        told = {"data": str(source.path), "dataset": source.dataset, "parts": parts}
        typer.echo(json.dumps(told | {"findings": found, "left_out": left_out}))
    else:
        typer.echo("\n".join([*_table(parts), *_lines(findings), *_left_out(split, source.path)]))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


@app.command("split")
def split_data(
    data: Data,
    out: Annotated[Path, typer.Option(help="A table to write (*.csv), or a folder to make in Market-1501's layout.")],
    dataset: Annotated[
        str | None, typer.Option(help="The layout of data without NAME=; folders when left out.")
    ] = None,
    name_pattern: Pattern = None,
    test_persons: Annotated[
        int | None, typer.Option(help="How many persons are for query and gallery; half of them when left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed and data, same parts.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was read and would be written.")] = False,
    as_json: Json = False,
) -> None:
    """Divide a data set by person into train, query and gallery; it is written whole or not at all.

    A table says where the images are; a folder gets copies, named anew, and names.csv with their names of before.
    """
    usual = None if Path(data).is_file() else "folders"
    source = source_of(data, dataset or usual, name_pattern)
    read = source.read()
    divided = divide(read, source.name, test_persons=test_persons, seed=seed)
    if not dry_run:
        write_divided(divided, out)
    parts = _parts(divided)
    if as_json:
        typer.echo(json.dumps({"out": str(out), "dry_run": dry_run, "seed": seed, "parts": parts}))
        return
    examples = [f"{'read as':8}  {each.path}: person {each.person}, camera {each.camera}" for each in read.samples]
    shown = examples[:SHOWN] if dry_run else []
    lines = [*_table(parts), *shown, *_left_out(read, source.path)]
    typer.echo("\n".join([*lines, f"{out}: {'would be written' if dry_run else 'written'}"]))


def _parts(split: Split) -> dict[str, dict[str, int]]:
    return {
        name: {
            "images": len(samples),
            "persons": len({sample.person for sample in samples}),
            "cameras": len({sample.camera for sample in samples} - {None}),
        }
        for name, samples in (("train", split.train), ("query", split.query), ("gallery", split.gallery))
    }


def _table(parts: dict[str, Any]) -> list[str]:
    columns = ("images", "persons", "cameras")
    rows = [[name, *(f"{part[column]:,}" for column in columns)] for name, part in parts.items()]
    return [f"{name:<8}" + "".join(f"{value:>10}" for value in values) for name, *values in [["", *columns], *rows]]


def _lines(findings: list[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        lines += _counted(finding.level, finding.told, finding.cases)
    return lines or ["nothing is wrong"]


def _left_out(split: Split, folder: Path) -> list[str]:
    lines = []
    for each in split.left_out:
        inside = [path.relative_to(folder) if path.is_relative_to(folder) else path for path in each.paths]
        lines += _counted("left out", each.reason, tuple(map(str, inside)))
    return lines


def _counted(level: str, told: str, cases: tuple[str, ...]) -> list[str]:
    lines = [f"{level:<8}{len(cases):>10,}  {told}", *(f"{'':20}{case}" for case in cases[:SHOWN])]
    return lines + ([f"{'':20}and {left:,} more"] if (left := len(cases) - SHOWN) > 0 else [])
