"""`vitreid recipes`: what there is to train."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from vitreid.training.recipe_list import RecipeEntry, recipe_list


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """List the recipes: what each trains, whose settings it has, and what it needs."""
    entries = recipe_list()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        typer.echo(f"{entry.name:{width}}  {_line(entry)}")


def _line(entry: RecipeEntry) -> str:
    source = f" ({entry.source})" if entry.source else ""
    return f"{f'[{entry.start}] ' if entry.start else ''}{entry.what}{source}; needs {entry.needs}"
