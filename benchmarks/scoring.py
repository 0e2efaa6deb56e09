"""Time and memory of scoring at MSMT17's size, compared with sorting the whole matrix of scores.

    python -m benchmarks.scoring [--queries N --gallery N --dimension D --sorted-queries N]

Each configuration runs in its own process on random embeddings; its peak memory is that of the process. Sorting
everything at MSMT17's size takes 15 GB, so it runs on the first queries, and its time is extrapolated: each query costs
the same. On a shared machine, compare CPU times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import peak_mib
from benchmarks.random_embeddings import Population
from vitreid.scoring import Labelled, score_camera_pairs, score_intervals, score_open_set, score_retrieval

PERSONS = 3060
Precisions = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """Numbers of images, and the length of their embeddings; by default those of MSMT17."""

    queries: int = 11_659
    gallery: int = 82_161
    dimension: int = 768
    sorted_queries: int = 500


def table(size: Size) -> Iterator[str]:
    """Yield the results as Markdown."""
    results = {name: measure(name, size) for name in CONFIGURATIONS}
    yield f"{size.queries} queries, {size.gallery} gallery images, {PERSONS} persons, dimension {size.dimension}."
    yield f"Rows with *: {size.sorted_queries} of the queries; the time is extrapolated, the memory is not."
    yield "\n| | time | CPU time | relative to the first | peak memory |\n|---|---|---|---|---|"
    for name, (title, score) in CONFIGURATIONS.items():
        result, star = results[name], "*" if score in ON_SOME else ""
        ratio = result["cpu_s"] / results["counted"]["cpu_s"]
        times = f"{result['wall_s']:.1f} s | {result['cpu_s']:.1f} s | {ratio:.1f}x"
        yield f"| {title}{star} | {times} | {result['peak_mib']:.0f} MiB |"
    one, other = (results[name]["mAP"] for name in ("counted", "sorted"))
    yield "\nGoals: at least 4 times faster than by sorting, under 2048 MiB."
    apart = abs(one - other)
    yield f"mAP of {size.sorted_queries} queries, counted and sorted: {one:.6f}, {other:.6f}, difference {apart:.1e}."


def measure(name: str, size: Size) -> dict[str, float]:
    """Run a configuration in its own process; return wall_s and cpu_s for all queries, peak_mib, and mAP."""
    options = [part for key, value in vars(size).items() for part in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "benchmarks.scoring", "--configuration", name, *options]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def run(name: str, size: Size) -> dict[str, float]:
    """Run a configuration in this process."""
    people = Population(PERSONS, size.dimension)
    queries, images = people.queries(size.queries), people.gallery(size.gallery)
    query = Labelled(queries.embeddings, queries.persons, queries.cameras)
    gallery = Labelled(images.embeddings, images.persons, images.cameras)
    configuration = CONFIGURATIONS[name][1]
    some = configuration in ON_SOME
    if some:
        query = query.take(np.arange(size.sorted_queries))
    start, cpu_start = time.perf_counter(), time.process_time()
    found = configuration(query, gallery)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    peak = peak_mib()
    factor = size.queries / size.sorted_queries if some else 1
    score = float(np.nanmean(found[: size.sorted_queries]))
    return {"wall_s": wall * factor, "cpu_s": cpu * factor, "peak_mib": peak, "mAP": score}


def counted(query: Labelled, gallery: Labelled) -> Precisions:
    scores = score_retrieval(query, gallery).per_query
    precisions = np.full(len(query), np.nan)
    precisions[scores.rows] = scores.average_precision
    return precisions


def random_labels(query: Labelled, gallery: Labelled) -> Precisions:
    """Score in the worst case: with random labels, nearly all images rank before the last match."""
    mixed = np.random.default_rng(0).permutation(len(gallery))
    return counted(query, Labelled(gallery.embeddings, gallery.persons[mixed], gallery.cameras[mixed]))


def argsort(query: Labelled, gallery: Labelled) -> Precisions:
    np.argsort(_distances(query, gallery), axis=1)
    return np.zeros(1)


def stable_argsort(query: Labelled, gallery: Labelled) -> Precisions:
    np.argsort(_distances(query, gallery), axis=1, kind="stable")
    return np.zeros(1)


def by_sorting(query: Labelled, gallery: Labelled) -> Precisions:
    """Score as usual: compute all distances, sort all rankings, then walk through each."""
    order = np.argsort(_distances(query, gallery), axis=1)
    matches = (gallery.persons[order] == query.persons[:, None]).astype(np.int32)
    precisions = np.full(len(query), np.nan)
    for i in range(len(query)):
        own = gallery.persons[order[i]] == query.persons[i]
        hits = matches[i][~(own & (gallery.cameras[order[i]] == query.cameras[i]))]
        if hits.any():
            precision = hits.cumsum() / np.arange(1, len(hits) + 1)
            precisions[i] = (precision * hits).sum() / hits.sum()
    return precisions


def _distances(query: Labelled, gallery: Labelled) -> NDArray[np.float32]:
    return 2 - 2 * query.embeddings @ gallery.embeddings.T


def intervals(query: Labelled, gallery: Labelled) -> Precisions:
    scores = score_retrieval(query, gallery).per_query
    score_intervals(scores)
    return scores.average_precision


def camera_pairs(query: Labelled, gallery: Labelled) -> Precisions:
    return np.array([pair.mAP for pair in score_camera_pairs(query, gallery)])


def open_set(query: Labelled, gallery: Labelled) -> Precisions:
    return np.array([row.fnir for row in score_open_set(query, gallery)])


CONFIGURATIONS: dict[str, tuple[str, Callable[[Labelled, Labelled], Precisions]]] = {
    "counted": ("`score_retrieval`", counted),
    "random_labels": ("`score_retrieval`, random labels", random_labels),
    "sorted": ("the same scores by sorting", by_sorting),
    "argsort": ("products and argsort alone", argsort),
    "stable_argsort": ("products and stable argsort (order of ties as here) alone", stable_argsort),
    "intervals": ("`score_retrieval` and intervals", intervals),
    "camera_pairs": ("camera pairs", camera_pairs),
    "open_set": ("open set", open_set),
}
ON_SOME = (by_sorting, argsort, stable_argsort)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in vars(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--configuration", choices=CONFIGURATIONS, help="run one in this process and print JSON")
    options = vars(parser.parse_args())
    configuration = options.pop("configuration")
    if configuration:
        print(json.dumps(run(configuration, Size(**options))))
    else:
        for line in table(Size(**options)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
