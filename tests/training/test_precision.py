"""What `auto` is on a device, and what is said of a precision that is slow there."""

from __future__ import annotations

import pytest
import torch

from training.config import RECIPES, load_recipe
from training.precision import PRECISIONS, chosen, precision_notes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
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
def test_no_recipe_is_slow_on_a_cpu(name: str) -> None:
    assert precision_notes(chosen(load_recipe(name).precision, CPU), CPU) == []


def test_fp16_on_a_cpu_is_remarked_upon() -> None:
    [line] = precision_notes("fp16", CPU)
    assert "as long as fp32 on a CPU; start with --set precision=auto, fp32 here" in line
    assert precision_notes("fp16", GPU) == []
