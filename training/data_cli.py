"""`reid data`: what is to be known of a data set before it is trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from training.checks import PUBLISHED, Finding, check, scan
from training.datasets import Split, read_dataset
from training.screen import counted

SHOWN = 3  # cases of a finding in the text; JSON has all

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """Check data sets."""


@app.command("check")
def check_data(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set, or the CSV of a table.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Which data set it is; its published counts are compared. Market-1501's layout if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Look for what is wrong with a data set; exits with 1 where there are errors."""
    split = read_dataset(dataset or "market1501", folder)
    with counted("reading", "pictures") as progress:
        scanned = scan((*split.train, *split.query, *split.gallery), progress)
    findings = check(split, scanned, PUBLISHED.get(dataset or "", ()))
    parts = _parts(split)
    if as_json:
        found = [
            {"level": each.level, "kind": each.kind, "count": len(each.cases), "told": each.told, "cases": each.cases}
            for each in findings
        ]
        typer.echo(json.dumps({"data": str(folder), "parts": parts, "findings": found}))
    else:
        typer.echo("\n".join([*_table(parts), *_lines(findings)]))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _parts(split: Split) -> dict[str, dict[str, int]]:
    return {
        name: {
            "pictures": len(samples),
            "persons": len({sample.person for sample in samples}),
            "cameras": len({sample.camera for sample in samples} - {None}),
        }
        for name, samples in (("train", split.train), ("query", split.query), ("gallery", split.gallery))
    }


def _table(parts: dict[str, Any]) -> list[str]:
    columns = ("pictures", "persons", "cameras")
    rows = [[name, *(f"{part[column]:,}" for column in columns)] for name, part in parts.items()]
    return [f"{name:<8}" + "".join(f"{value:>10}" for value in values) for name, *values in [["", *columns], *rows]]


def _lines(findings: list[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<8}{len(finding.cases):>10,}  {finding.told}")
        lines += [f"{'':20}{case}" for case in finding.cases[:SHOWN]]
        if (left := len(finding.cases) - SHOWN) > 0:
            lines.append(f"{'':20}and {left:,} more")
    return lines or ["nothing is wrong"]
