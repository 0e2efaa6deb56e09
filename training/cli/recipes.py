"""`vitreid recipes`: the training recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vitreid.terminal import AsJson, emit

if TYPE_CHECKING:
    from vitreid.training.recipe_list import RecipeEntry


def recipes(as_json: AsJson = False) -> None:
    """List the recipes: what each trains, whose settings it has, and what it needs."""
    from vitreid.training.recipe_list import recipe_list

    entries = recipe_list()
    emit(entries, _lines(entries), as_json=as_json)


def _lines(entries: Sequence[RecipeEntry]) -> Iterator[str]:
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        source = f" ({entry.source})" if entry.source else ""
        start = f"[{entry.start}] " if entry.start else ""
        yield f"{entry.name:{width}}  {start}{entry.what}{source}; needs {entry.needs}"
