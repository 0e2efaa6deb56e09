"""The precision that `auto` stands for on a device, and the note on a slow one."""

from __future__ import annotations

import pytest
import torch

from vitreid.training.config import load_recipe, recipe_files
from vitreid.training.precision import PRECISIONS, chosen, precision_notes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
NAMES = sorted(recipe_files())
PUBLISHED = [name for name in NAMES if load_recipe(name).model.weights != "random"]


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_stated_is_taken(precision: str, device: torch.device) -> None:
    assert chosen(precision, device) == precision


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_train_in_fp16_on_a_gpu_as_their_sources_do_and_in_fp32_on_a_cpu(name: str) -> None:
    precision = load_recipe(name).precision
    assert (chosen(precision, GPU), chosen(precision, CPU)) == ("fp16", "fp32")


@pytest.mark.parametrize("name", NAMES)
def test_no_recipe_is_slow_on_a_cpu_with_products_of_bf16(name: str) -> None:
    assert precision_notes(chosen(load_recipe(name).precision, CPU), CPU, bf16=True) == []


@pytest.mark.parametrize(
    ("precision", "bf16", "slow"),
    [("fp16", True, "ten times"), ("fp16", False, "ten times"), ("bf16", False, "six times")],
)
def test_what_is_slow_on_a_cpu_is_remarked_upon(precision: str, bf16: bool, slow: str) -> None:
    [line] = precision_notes(precision, CPU, bf16=bf16)
    told = f"{precision} takes about {slow} as long as fp32 on this CPU; start with --set precision=auto, fp32 here"
    assert line == told
    assert precision_notes(precision, GPU, bf16=bf16) == []


@pytest.mark.parametrize("bf16", [True, False])
def test_fp32_is_not(bf16: bool) -> None:
    assert precision_notes("fp32", CPU, bf16=bf16) == []
