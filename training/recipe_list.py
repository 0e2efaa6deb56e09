"""The recipes by name: what each trains, whose it is, and what it needs. All of it is read from the recipes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vitreid.training.config import TrainConfig, base_of, load_recipe, recipe_files

START = {
    "starter-quick": "start here: minutes on a CPU, with the drawn people of `vitreid synth`",
    "cuhk03-tiny": "start here: half an hour on a CPU, with a thousand images or more",
    "transreid-baseline": "start here: with a GPU",
}
"""Where to begin, and with what at hand."""


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe in a list; `source` is whose settings it has, empty for the project's own."""

    name: str
    what: str
    source: str
    needs: str
    start: str


def recipe_list() -> list[RecipeEntry]:
    """Every recipe, where to begin first."""
    return sorted((_entry(name) for name in sorted(recipe_files())), key=lambda entry: not entry.start)


def _entry(name: str) -> RecipeEntry:
    title = _title(name)
    what = " ".join(re.sub(r"\([^()]*\)", "", title).split())
    config = load_recipe(name)
    source = "" if config.model.weights == "random" else _source(name)
    return RecipeEntry(name, re.sub(r" (?=[,;:])", "", what), source, ", ".join(_needs(config)), START.get(name, ""))


def _title(name: str) -> str:
    """The first sentence of the comment that a recipe begins with."""
    lines = recipe_files()[name].read_text().partition("\n\n")[0].splitlines()
    text = " ".join(line.lstrip("# ").strip() for line in lines)
    return re.split(r"(?<!et al)\.(?:\s|$)", text)[0]


def _source(name: str) -> str:
    """What stands in brackets in its first sentence or, without any, in that of its base."""
    found = re.findall(r"\(([^()]*)\)", _title(name))
    base = base_of(name)
    return found[0] if found else _source(base) if base else ""


def _needs(config: TrainConfig) -> Iterator[str]:
    weights = config.model.weights
    yield "a CPU" if weights == "random" else "a GPU"
    if weights == "timm":
        yield "timm's weights, downloaded"
    elif weights != "random":
        yield f"the file {weights}"
    if config.data.dataset != "market1501":
        yield f"the data set {config.data.dataset}"
