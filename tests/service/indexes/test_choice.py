"""The kind that `auto` chooses, and the reasons to rebuild."""

from __future__ import annotations

import numpy as np
import pytest

from vitreid.service.indexes import INDEXES, Index, choose_index, rebuild_reason
from vitreid.service.indexes.choice import FIRST_TUNING


def of_same(kind: str, count: int) -> Index:
    """An index that was built empty and holds one embedding so many times."""
    index = INDEXES[kind].build(4, np.empty(0, dtype=np.int64), np.empty((0, 4), dtype=np.float32))
    index.add(np.arange(count), np.eye(1, 4, dtype=np.float32).repeat(count, axis=0))
    return index


@pytest.fixture(params=[True, False], ids=["gpu", "no gpu"])
def gpu(request, monkeypatch) -> bool:
    monkeypatch.setattr("vitreid.service.indexes.choice.gpu_problem", lambda: None if request.param else "none")
    return request.param


@pytest.mark.parametrize("dimension", [1, 128, 384, 2048])
def test_flat_until_it_is_slow_then_lists_or_the_gpu(gpu, dimension):
    step, gpu_limit = 200_000 * 384 // dimension, (4 << 30) // 4 // dimension
    for size, with_gpu, without in (
        (0, "flat", "flat"),
        (step, "flat", "flat"),
        (step + 1, "gpu", "ivf"),
        (gpu_limit, "gpu", "ivf"),
        (gpu_limit + 1, "ivf", "ivf"),
    ):
        kind, reason = choose_index(size, dimension)
        assert kind == (with_gpu if gpu else without)
        assert f"{size:,} embeddings" in reason


def test_a_size_around_a_step_does_not_rebuild_to_and_fro(gpu):
    current, kinds = "flat", []
    for size in (190_000, 201_000, 199_000, 160_000, 201_000, 151_000, 149_000, 151_000, 199_000):
        current, _ = choose_index(size, 384, current)
        kinds.append(current)
    large = "gpu" if gpu else "ivf"
    assert kinds == ["flat", *[large] * 5, *["flat"] * 3]


def test_a_gallery_that_left_the_gpu_goes_back_when_it_is_well_below(monkeypatch):
    monkeypatch.setattr("vitreid.service.indexes.choice.gpu_problem", lambda: None)
    kinds = [choose_index(size, 384, "ivf")[0] for size in (2_700_000, 2_200_000, 2_000_000)]
    assert kinds == ["ivf", "ivf", "gpu"]


def test_the_gpu_is_taken_only_where_it_can_be_used(monkeypatch):
    monkeypatch.setattr("vitreid.service.indexes.choice.gpu_problem", lambda: "none")
    assert choose_index(300_000, 384)[0] == choose_index(300_000, 384, "gpu")[0] == "ivf"


def test_every_choice_can_be_built(gpu):
    for size in (0, 10_000, 300_000, 50_000_000):
        assert choose_index(size, 384)[0] in INDEXES


def test_an_index_that_grew_far_beyond_its_tuning_is_rebuilt():
    index = of_same("ivf", FIRST_TUNING)
    assert rebuild_reason(index) is None
    index.add(np.array([FIRST_TUNING]), np.eye(1, 4, dtype=np.float32))
    assert rebuild_reason(index) == "it was tuned with 0 embeddings and holds 10,001"


@pytest.mark.parametrize("kind", ["exact", "flat"])
def test_exact_indexes_are_never_rebuilt(kind):
    index = of_same(kind, 50_000)
    index.remove(np.arange(40_000))
    assert rebuild_reason(index) is None
