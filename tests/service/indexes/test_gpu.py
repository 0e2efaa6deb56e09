"""The twin and the masked results, with a stand-in copy on the CPU; and a real GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from vitreid.service.indexes import ExactIndex, FlatIndex, GpuIndex
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.gpu import MIN_GARBAGE, GpuMissing, gpu_copy, gpu_problem

DIMENSION = 24
real_copy = gpu_copy  # the fixture `gpu_stand_in` replaces it in the module


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def twin_calls(monkeypatch) -> list[int]:
    """The number of queries of each search of the twin."""
    calls: list[int] = []
    search = FlatIndex.search

    def counted(self, embeddings, k, allowed=None):
        calls.append(len(embeddings))
        return search(self, embeddings, k, allowed)

    monkeypatch.setattr(FlatIndex, "search", counted)
    return calls


def both(count: int):
    ids, rows = np.arange(count), unit_rows(count, seed=1)
    return GpuIndex.build(DIMENSION, ids, rows), ExactIndex.build(DIMENSION, ids, rows)


def test_the_gpu_answers_what_it_can(twin_calls):
    gpu, exact = both(5000)
    queries = unit_rows(6, seed=2)
    for each in (gpu, exact):
        each.remove(np.arange(0, 900, 3))
    assert (len(gpu), gpu.garbage) == (4700, 300)
    allowed = np.random.default_rng(3).random(5000) < 0.5
    for only in (None, allowed):
        np.testing.assert_array_equal(gpu.search(queries, 20, only)[1], exact.search(queries, 20, only)[1])
    assert twin_calls == []


def test_where_too_few_are_left_the_twin_answers_for_those_queries(twin_calls):
    gpu, exact = both(5000)
    queries = unit_rows(6, seed=2)
    near = exact.search(queries[:2], 200)[1]
    for each in (gpu, exact):
        each.remove(near.ravel())  # of the first two queries all that the copy would find
    np.testing.assert_array_equal(gpu.search(queries, 20)[1], exact.search(queries, 20)[1])
    assert twin_calls == [2]


def test_what_the_gpu_cannot_ask_for_the_twin_answers(twin_calls):
    gpu, exact = both(5000)
    queries = unit_rows(6, seed=2)
    few = np.zeros(5000, dtype=bool)
    few[[3, 77, 4999]] = True
    np.testing.assert_array_equal(gpu.search(queries, 9, few)[1], exact.search(queries, 9, few)[1])
    np.testing.assert_allclose(gpu.search(queries, 3000)[0], exact.search(queries, 3000)[0], atol=1e-6)
    assert twin_calls == [6, 6]


def test_much_garbage_is_cleared_away():
    gpu, exact = both(5000)
    gone = np.arange(MIN_GARBAGE)
    gpu.remove(gone)
    assert gpu.garbage == MIN_GARBAGE
    gpu.remove(gone)
    assert gpu.garbage == MIN_GARBAGE
    gpu.remove(np.array([MIN_GARBAGE]))
    assert (len(gpu), gpu.garbage) == (5000 - MIN_GARBAGE - 1, 0)
    exact.remove(np.arange(MIN_GARBAGE + 1))
    queries = unit_rows(4, seed=4)
    np.testing.assert_array_equal(gpu.search(queries, 30)[1], exact.search(queries, 30)[1])


def test_saving_frees_what_was_removed(tmp_path):
    gpu, exact = both(5000)
    for each in (gpu, exact):
        each.remove(np.arange(10))
    assert gpu.garbage == 10
    gpu.save(tmp_path / "index")
    assert gpu.garbage == 0
    queries = unit_rows(4, seed=4)
    np.testing.assert_array_equal(gpu.search(queries, 30)[1], exact.search(queries, 30)[1])


def test_a_flat_file_may_move_to_the_gpu_and_back(tmp_path):
    flat = FlatIndex.build(DIMENSION, np.arange(50), unit_rows(50, seed=5))
    queries = unit_rows(4, seed=4)
    flat.save(tmp_path / "flat")
    gpu = GpuIndex.load(tmp_path / "flat", DIMENSION)
    gpu.remove(np.array([7]))
    gpu.save(tmp_path / "gpu")
    flat.remove(np.array([7]))
    back = FlatIndex.load(tmp_path / "gpu", DIMENSION)
    np.testing.assert_array_equal(back.search(queries, 49)[1], flat.search(queries, 49)[1])


def test_a_faiss_without_gpu_support_is_reported(monkeypatch):
    monkeypatch.delattr(load_faiss(), "StandardGpuResources", raising=False)
    with pytest.raises(GpuMissing, match=r"^no index of kind gpu: .* pip install .* faiss-gpu; or choose flat or ivf$"):
        real_copy(DIMENSION)


def test_a_machine_without_a_gpu_is_reported(monkeypatch):
    monkeypatch.setattr(load_faiss(), "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(load_faiss(), "get_num_gpus", lambda: 0)
    with pytest.raises(GpuMissing, match="faiss sees no GPU: check the driver with nvidia-smi"):
        real_copy(DIMENSION)


@pytest.mark.gpu
@pytest.mark.skipif(gpu_problem() is not None, reason=f"no GPU can be used: {gpu_problem()}")
def test_a_real_gpu_answers_as_exact_does():
    gpu, exact = both(20_000)
    queries = unit_rows(40, seed=2)
    allowed = np.random.default_rng(3).random(21_000) < 0.3
    for step in range(4):
        new = np.arange(20_000 + 100 * step, 20_100 + 100 * step)
        gone = np.arange(700 * step, 700 * step + 600)
        for each in (gpu, exact):
            each.add(new, unit_rows(100, seed=9 + step))
            each.remove(gone)
        for only in (None, allowed):
            for k in (1, 26, 3000):
                scores, ids = gpu.search(queries, k, only)
                expected_scores, expected_ids = exact.search(queries, k, only)
                np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
                assert (ids == expected_ids).mean() > 0.99  # scores that are nearly equal may have changed places
