"""Runs of a few sizes: which, and that filling up and cutting change nothing; on a CPU, whose memory does as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import Bundle, BundleRunner
from vitreid.bundle.run import open_session
from vitreid.service.models.runtimes.buckets import BucketedRuntime, bucket_sizes


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (5, [1, 2, 4, 8]), (32, [1, 2, 4, 8, 16, 32])]
)
def test_sizes(most: int, sizes: list[int]) -> None:
    assert bucket_sizes(most) == sizes


class Watched:
    """A session that remembers the size of each run."""

    def __init__(self, bundle: Bundle) -> None:
        self._session = open_session(bundle, threads=1)
        self.sizes: list[int] = []

    def io_binding(self) -> object:
        return self._session.io_binding()

    def run_with_iobinding(self, binding) -> None:
        self._session.run_with_iobinding(binding)
        self.sizes.append(binding.get_outputs()[0].shape()[0])


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture
def session(bundle: Bundle) -> Watched:
    return Watched(bundle)


@pytest.fixture
def buckets(bundle: Bundle, session: Watched) -> BucketedRuntime:
    made = BucketedRuntime(session, bundle.manifest, provider="cuda", device="cpu", max_batch=4)
    assert session.sizes == [1, 2, 4], "every size was run before the first request"
    session.sizes.clear()
    return made


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (2, [2]), (3, [4]), (4, [4]), (5, [4, 1]), (11, [4, 4, 4])]
)
def test_embeddings_are_those_of_the_reference(bundle, session, buckets, count, sizes) -> None:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 64, 32, 3), dtype=np.uint8)
    cameras = rng.integers(-1, 2, count)
    expected = BundleRunner(bundle, threads=1).run(images, cameras)
    np.testing.assert_allclose(buckets.run(images, cameras), expected, atol=1e-6)
    assert session.sizes == sizes


def test_one_run_leaves_nothing_to_the_next(bundle, buckets) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 32, 3), dtype=np.uint8)
    first = buckets.run(images, np.zeros(4, np.int64))
    kept = first.copy()
    again = buckets.run(images[1:], np.full(3, -1))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(again, BundleRunner(bundle, threads=1).run(images[1:]), atol=1e-6)


def test_runs_may_overlap(bundle, buckets) -> None:
    batches = np.random.default_rng(1).integers(0, 256, (40, 3, 64, 32, 3), dtype=np.uint8)
    unknown = np.full(3, -1)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda batch: buckets.run(batch, unknown), batches))
    expected = [BundleRunner(bundle, threads=1).run(batch) for batch in batches]
    np.testing.assert_allclose(np.stack(found), np.stack(expected), atol=1e-6)
