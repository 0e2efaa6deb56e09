"""Time and memory of sparse k-reciprocal re-ranking, compared with the dense published form.

    python -m benchmarks.reranking [--query 1000] [--gallery 5000] [--rounds 3] [--all-dense] [--msmt17]

Both forms rank the same random embeddings. Ours also runs at Market-1501's size (3,368 + 15,913), the dense one only
with --all-dense, since its matrices of all images by all images take about 6 GB. At MSMT17's size (11,659 + 82,161),
where they would take 106 GB, only ours runs. Each run has its own process, so that peak memories are separate; the time
is that of re-ranking and scoring. Prints a JSON line per run, and the ratios of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.memory import peak_mib
from benchmarks.random_embeddings import IMAGES, Embeddings, Population
from vitreid.scoring import Labelled, score_retrieval
from vitreid.scoring.reranking import K1, K2, ORIGINAL_SHARE, reranked_distances

MARKET = (3368, 15913)
MSMT17 = (11659, 82161)


def dense_distances(query: np.ndarray, gallery: np.ndarray) -> Iterator[np.ndarray]:
    """Re-rank by Zhong et al. with dense float32 matrices and loops over the images, as is common."""
    every = np.concatenate([query, gallery])
    size, queries = len(every), len(query)
    away = 2 - 2 * (every @ every.T)
    away /= away.max(1, keepdims=True)
    order = np.argsort(away, axis=1)
    weights = np.zeros_like(away)

    def reciprocal(i: int, k: int) -> np.ndarray:
        near = order[i, : k + 1]
        return near[(order[near, : k + 1] == i).any(1)]

    for i in range(size):
        own = reciprocal(i, K1)
        theirs = [reciprocal(j, round(K1 / 2)) for j in own]
        added = [part for part in theirs if 3 * len(np.intersect1d(part, own)) > 2 * len(part)]
        expanded = np.unique(np.concatenate([own, *added]))
        near = np.exp(-away[i, expanded])
        weights[i, expanded] = near / near.sum()
    original = away[:queries, queries:].copy()
    weights = np.stack([weights[order[i, :K2]].mean(0) for i in range(size)])
    holders = [np.flatnonzero(weights[:, i]) for i in range(size)]
    found = np.empty_like(original)
    for i in range(queries):
        shared = np.zeros(size, np.float32)
        for j in np.flatnonzero(weights[i]):
            shared[holders[j]] += np.minimum(weights[i, j], weights[holders[j], j])
        found[i] = 1 - shared[queries:] / (2 - shared[queries:])
    yield ORIGINAL_SHARE * original + (1 - ORIGINAL_SHARE) * found


FORMS = {"sparse": reranked_distances, "dense": dense_distances}
"""Functions from embeddings of queries and gallery to blocks of distances."""


def measure(form: str, queries: int, size: int) -> dict[str, float | int | str]:
    """Return seconds, peak MiB and mAP of one form, in this process."""
    people = Population(-(-size // IMAGES))
    query, gallery = _labelled(people.queries(queries)), _labelled(people.gallery(size))
    before = peak_mib()
    start = time.perf_counter()
    distances = FORMS[form](query.embeddings, gallery.embeddings)
    reranked = score_retrieval(query, gallery, scores=(-block for block in distances)).mAP
    seconds = time.perf_counter() - start
    peak = peak_mib()
    return {
        "form": form,
        "query": queries,
        "gallery": size,
        "seconds": round(seconds, 2),
        "peak_mib": round(peak),
        "before_mib": round(before),
        "mAP_plain": round(score_retrieval(query, gallery).mAP, 5),
        "mAP": round(reranked, 5),
    }


def compare(queries: int, size: int, rounds: int) -> dict[str, float]:
    """Compare ours with the dense form at one size: speed ratio, memory ratio, difference of mAP."""
    runs = {form: [measured(form, queries, size) for _ in range(rounds)] for form in FORMS}
    seconds, peaks = (
        {form: statistics.median(run[name] for run in runs[form]) for form in FORMS} for name in ("seconds", "peak_mib")
    )
    scores = {form: runs[form][0]["mAP"] for form in FORMS}
    return {
        "times_faster": round(seconds["dense"] / seconds["sparse"], 1),
        "share_of_memory": round(peaks["sparse"] / peaks["dense"], 3),
        "mAP_difference": abs(scores["sparse"] - scores["dense"]),
    }


def measured(form: str, queries: int, size: int) -> dict[str, float]:
    """Call `measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.reranking", "--measure", form]
    command += ["--query", str(queries), "--gallery", str(size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(output.strip(), flush=True)
    measured: dict[str, float] = json.loads(output)
    return measured


def _labelled(rows: Embeddings) -> Labelled:
    return Labelled(rows.embeddings, rows.persons, rows.cameras)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--query", type=int, default=1000)
    parser.add_argument("--gallery", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all-dense", action="store_true", help="the dense form at Market-1501's size too")
    parser.add_argument("--msmt17", action="store_true", help="ours alone, at MSMT17's size")
    parser.add_argument("--measure", choices=FORMS, help="one run in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.query, options.gallery)))
        return
    if options.msmt17:
        measured("sparse", *MSMT17)
        return
    print(json.dumps(compare(options.query, options.gallery, options.rounds)))
    if options.all_dense:
        print(json.dumps(compare(*MARKET, 1)))
    else:
        measured("sparse", *MARKET)


if __name__ == "__main__":
    main()
