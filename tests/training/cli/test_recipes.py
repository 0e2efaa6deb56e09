"""The list of recipes is made of the recipes themselves."""

from __future__ import annotations

import json

import pytest

from vitreid import cli
from vitreid.training.config import load_recipe, recipe_files
from vitreid.training.recipe_list import START, recipe_list

ENTRIES = {entry.name: entry for entry in recipe_list()}


def test_every_recipe_is_in_it_once_with_where_to_start_first() -> None:
    assert len(recipe_list()) == len(ENTRIES)
    assert set(ENTRIES) == recipe_files().keys()
    assert {entry.name for entry in recipe_list()[: len(START)]} == set(START)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_what_it_is_and_what_it_needs(name: str) -> None:
    entry, config = ENTRIES[name], load_recipe(name)
    assert len(entry.what) > 10
    assert "\n" not in entry.what
    assert not {"(", ")"} & set(entry.what)
    assert (config.model.weights in entry.needs) or config.model.weights in ("random", "timm")
    assert bool(entry.source) is (config.model.weights != "random")  # of a publication, or of this project


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ENTRIES)
    assert all("start here" in line for line in lines[: len(START)])
    assert cli.run(["recipes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in printed] == [entry.name for entry in recipe_list()]
    assert printed[0].keys() == {"name", "what", "source", "needs", "start"}


def test_a_name_that_is_nearly_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", "transried", "--data", ".", "--out", "nowhere"]) == 2
    printed = capsys.readouterr().err
    assert "did you mean transreid? take one of `vitreid recipes`" in printed
    assert len(printed) < 200
