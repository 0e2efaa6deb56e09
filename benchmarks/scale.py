"""Time, memory and recall of each index, from a thousand to a million embeddings.

    python -m benchmarks.scale [--rows 1000 --rows 100000] [--kind flat --kind ivf]

Embeddings are random (benchmarks/random_embeddings.py); queries are new images of the same persons. Latency is that of
single searches with k = 26, as a gallery requests 10 and a margin; recall is that of the 10 nearest, compared with
an exhaustive search. Filtered searches select one camera of six. Memory is relative to the float32 embeddings: as
reported by the index, and as the growth of the process when it is loaded.
"""

from __future__ import annotations

import ctypes
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.random_embeddings import Embeddings, Floats, population_for
from vitreid.service.indexes import INDEXES, Index
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.gpu import gpu_problem

ROWS = (1_000, 10_000, 100_000, 200_000, 1_000_000)
MAX_ROWS = {"exact": 200_000}  # too slow beyond
QUERIES = 500
K = 10
REQUESTED = 26
CAMERA = 0

Allowed = NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True)
class Searches:
    """Latency and recall of single searches."""

    p50_ms: float
    p99_ms: float
    recall: float


@dataclass(frozen=True)
class Result:
    """The measurements of one index at one size."""

    rows: int
    kind: str
    build_s: float
    load_s: float
    reported_share: float
    process_share: float
    add_ms: float
    remove_ms: float
    unfiltered: Searches
    filtered: Searches
    parameters: str


def main(
    rows: Annotated[list[int] | None, typer.Option(help="embeddings; all sizes of the table by default")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="index; by default all that are available")] = None,
) -> None:
    usable = [name for name in INDEXES if name != "gpu" or gpu_problem() is None]
    for line in table(measure(rows or ROWS, kind or usable)):
        print(line, flush=True)


def table(results: Iterable[Result]) -> Iterator[str]:
    """Yield the results as Markdown."""
    yield (
        "| embeddings | index | build s | load s | memory: index / process | add / remove ms "
        "| p50 / p99 ms | recall@10 | filtered p50 / p99 ms | recall@10 | parameters |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for each in results:
        searches = " | ".join(
            f"{part.p50_ms:.2f} / {part.p99_ms:.2f} | {part.recall:.4f}" for part in (each.unfiltered, each.filtered)
        )
        yield (
            f"| {each.rows:,} | {each.kind} | {each.build_s:.1f} | {each.load_s:.2f} "
            f"| {each.reported_share:.2f} / {each.process_share:.2f} | {each.add_ms:.2f} / {each.remove_ms:.3f} "
            f"| {searches} | {each.parameters} |"
        )


def measure(sizes: Sequence[int], kinds: Sequence[str]) -> Iterator[Result]:
    """Yield the results of every kind at every size, up to its MAX_ROWS."""
    for size in sizes:
        people = population_for(size)
        gallery, queries = people.gallery(size), people.queries(QUERIES).embeddings
        filters = (None, gallery.cameras == CAMERA)
        answers = [_compare_all(gallery.embeddings, queries, allowed) for allowed in filters]
        for kind in kinds:
            if size <= MAX_ROWS.get(kind, size):
                yield _measure_one(kind, gallery, queries, list(zip(filters, answers, strict=True)))


def _measure_one(
    kind: str, gallery: Embeddings, queries: Floats, cases: list[tuple[Allowed | None, NDArray[np.int64]]]
) -> Result:
    size, dimension = gallery.embeddings.shape
    build_s, index = _timed(lambda: INDEXES[kind].build(dimension, np.arange(size), gallery.embeddings))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "index"
        index.save(file)
        del index
        before = _resident_bytes()
        load_s, loaded = _timed(lambda: INDEXES[kind].load(file, dimension))
        grown = _resident_bytes() - before
    reported = loaded.memory_bytes
    unfiltered, filtered = (_searches(loaded, queries, answers, allowed) for allowed, answers in cases)
    new = [(np.array([size + turn]), gallery.embeddings[turn : turn + 1]) for turn in range(50)]
    add_s = [_timed(partial(loaded.add, *each))[0] for each in new]
    remove_s = [_timed(partial(loaded.remove, each[0]))[0] for each in new]
    return Result(
        rows=size,
        kind=kind,
        build_s=build_s,
        load_s=load_s,
        reported_share=reported / gallery.embeddings.nbytes,
        process_share=grown / gallery.embeddings.nbytes,
        add_ms=1e3 * float(np.median(add_s)),
        remove_ms=1e3 * float(np.median(remove_s)),
        unfiltered=unfiltered,
        filtered=filtered,
        parameters=", ".join(f"{name} {value}" for name, value in loaded.parameters.items()),
    )


def _searches(index: Index, queries: Floats, answers: NDArray[np.int64], allowed: Allowed | None) -> Searches:
    index.search(queries[:1], REQUESTED, allowed)  # warm-up
    took, hits = [], []
    for query, expected in zip(queries, answers, strict=True):
        search_s, (_, ids) = _timed(partial(index.search, query[None], REQUESTED, allowed))
        took.append(1e3 * search_s)
        hits.append(np.isin(expected, ids[0, :K]).mean())
    return Searches(float(np.percentile(took, 50)), float(np.percentile(took, 99)), float(np.mean(hits)))


def _compare_all(embeddings: Floats, queries: Floats, allowed: Allowed | None) -> NDArray[np.int64]:
    """Return the ids of the K nearest of each query, independently of the indexes."""
    ids = np.arange(len(embeddings)) if allowed is None else np.flatnonzero(allowed)
    faiss = load_faiss()
    faiss.omp_set_num_threads(os.cpu_count())
    _, rows = faiss.knn(queries, embeddings if allowed is None else embeddings[ids], K, faiss.METRIC_INNER_PRODUCT)
    answers: NDArray[np.int64] = ids[rows]
    return answers


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory to the system
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    typer.run(main)
