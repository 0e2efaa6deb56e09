"""Cost and gain of re-ranking by patches.

    python -m benchmarks.patches cost [--rounds 20]
    python -m benchmarks.patches gain BUNDLE --data DIR

Cost: the time to re-rank the top 50 of a gallery of drawn people with a ViT-S of random weights. Its attention is
nearly uniform, so nearly 80 % of all patches are foreground, more than with a trained model. Patches are either stored
in the gallery or computed from stored images at query time; the time to embed 50 images is reported too. The query is a
stored item.

Gain: the share of attention and the weight of patches in the score are chosen on half of the persons of a data set and
scored on the other half, together with the values that the service uses.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.models import explained_bundle
from vitreid.bundle import Bundle, PatchRunner, read_image
from vitreid.scoring import Labelled, RetrievalScores, compare_scores, score_retrieval
from vitreid.scoring.patches import FOREGROUND_SHARE, PATCH_SHARE, TOP, Foreground, Half, reranked_blocks
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance.patch_backfill import PatchBackfill
from vitreid.service.intake.folders import read_folder
from vitreid.service.intake.indexing import index_folder
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
from vitreid.service.models.runtimes import RuntimeChoice
from vitreid.service.search import PatchReranker, SearchRequest, search
from vitreid.service.search.query import query_of_item
from vitreid.synthetic import draw_dataset
from vitreid.training.datasets import read_dataset
from vitreid.training.evaluation.embed import batches, embed_split, open_retrieval_model

SHARES = (0.6, 0.7, 0.8, 0.9, 1.0)
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5)

app = typer.Typer(add_completion=False)


@app.command("cost")
def cost_command(rounds: int = 20, threads: int | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder) / "people", identities=40, cameras=4, images=1, seed=3)
        bundle = explained_bundle(Path(folder) / "vit_s")
        for line in cost_lines(measure_cost(bundle, Path(folder) / "people" / "query", rounds, threads=threads)):
            print(line)


@app.command("gain")
def gain_command(bundle: Path, data: Annotated[Path, typer.Option()], dataset: str = "market1501") -> None:
    print(json.dumps(measure_gain(bundle, data, dataset)))


def measure_cost(bundle: Bundle, images: Path, rounds: int, *, threads: int | None = None) -> dict[str, float]:
    """Return medians in ms of re-ranking the top 50 with and without stored patches, and of embedding 50 images."""
    embedder, explainer = Embedder(bundle, RuntimeChoice(threads=threads)), Explainer(bundle, threads=threads)
    manifest = bundle.manifest
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            Gallery.open(Path(folder) / "g", bundle_id=manifest.bundle_id, dimension=manifest.dimension)
        ) as gallery,
    ):
        index_folder(read_folder(images), gallery, embedder)
        patches = PatchReranker(explainer, embedder.prepare)
        query = query_of_item(gallery, gallery.get(gallery.ids()[0]), patches)
        request = SearchRequest(k=TOP, rerank="patches")
        pixels = [embedder.prepare(read_image(gallery.image(item_id) or b"")) for item_id in gallery.ids()[:TOP]]
        times = {
            "computed": lambda: search(gallery, query, request, patches=patches).rerank_ms,
            "embedding": _timed(lambda: embedder.run(pixels, [None] * len(pixels))),
        }
        found = _medians(times, max(1, rounds // 4))
        gallery.change_settings(store_patches=True)
        backfill = PatchBackfill(explainer, embedder.prepare)
        for _ in range(len(gallery)):
            backfill(gallery)
        stored = gallery.foregrounds(gallery.ids(), explainer.model or "")
        assert len(stored) == len(gallery)
        found |= _medians({"stored": lambda: search(gallery, query, request, patches=patches).rerank_ms}, rounds)
        per_item = statistics.mean(each.vectors.size * 2 + each.patch_indices.size * 2 for each in stored.values())
        foreground = statistics.mean(len(each.patch_indices) for each in stored.values())
    return found | {"kib_per_item": per_item / 1024, "foreground": foreground}


def cost_lines(found: dict[str, float]) -> Iterator[str]:
    yield f"| re-ranking the top {TOP} by patches | ms |\n|---|---|"
    yield f"| patches stored in the gallery | {found['stored']:.1f} |"
    yield f"| patches computed at query time, of candidates and query | {found['computed']:.0f} |"
    yield f"| (embedding {TOP} images) | {found['embedding']:.0f} |"
    yield (
        f"\nStored: {found['kib_per_item']:.0f} KiB per item, {found['foreground']:.0f} patches on average. Goal: at "
        f"most 20 ms with stored patches, or the cost of embedding {TOP} images."
    )


def measure_gain(bundle: Path, data: Path, dataset: str) -> dict[str, Any]:
    """Return the gain of each pair of shares on half of the persons, and of the best and our pair on the other half."""
    split, embedder = read_dataset(dataset, data), open_retrieval_model(bundle)
    query, gallery = embed_split(split, embedder)
    runner = PatchRunner(Bundle.open(bundle))
    seen = [runner.run(*batch) for batch in batches((*split.query, *split.gallery), embedder)]
    patches, attention = (np.concatenate(part) for part in zip(*seen, strict=True))
    choosing = np.unique(query.persons)[::2]
    halves = {
        name: tuple(np.isin(side.persons, choosing) == wanted for side in (query, gallery))
        for name, wanted in (("chosen on", True), ("scored on", False))
    }

    def scored(half: str, share: float, weight: float) -> tuple[RetrievalScores, RetrievalScores]:
        sides = [side.take(rows) for side, rows in zip((query, gallery), halves[half], strict=True)]
        foregrounds = _foregrounds(patches, attention, share)
        parts = foregrounds[: len(query)], foregrounds[len(query) :]
        both = [[part[row] for row in np.flatnonzero(rows)] for part, rows in zip(parts, halves[half], strict=True)]
        return _reranked(sides, both, weight), score_retrieval(*sides)

    grid = {}
    for share, weight in itertools.product(SHARES, WEIGHTS):
        after, before = scored("chosen on", share, weight)
        grid[share, weight] = after.mAP - before.mAP
    best = max(grid, key=lambda pair: grid[pair])
    result: dict[str, Any] = {"chosen_on": {f"{share} {weight}": gain for (share, weight), gain in grid.items()}}
    for name, pair in (("best", best), ("ours", (FOREGROUND_SHARE, PATCH_SHARE))):
        after, before = scored("scored on", *pair)
        gain = compare_scores(after.per_query, before.per_query)["mAP"]
        result[name] = {"shares": pair, "before": before.mAP, "gain": gain.value, "low": gain.low, "high": gain.high}
    return result


def _reranked(sides: Sequence[Labelled], both: Sequence[list[Half]], weight: float) -> RetrievalScores:
    (query, gallery), foregrounds = sides, both
    return score_retrieval(query, gallery, scores=reranked_blocks(query, gallery, *foregrounds, share=weight))


def _foregrounds(patches: np.ndarray, attention: np.ndarray, share: float) -> list[Half]:
    return [Foreground.of(*each, share).vectors.astype(np.float16) for each in zip(patches, attention, strict=True)]


def _timed(task: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        begin = time.perf_counter()
        task()
        return 1000 * (time.perf_counter() - begin)

    return run


def _medians(tasks: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the medians of tasks that return their own ms; they take turns after a warm-up."""
    runs = [{name: task() for name, task in tasks.items()} for _ in range(1 + rounds)][1:]
    return {name: statistics.median(run[name] for run in runs) for name in tasks}


if __name__ == "__main__":
    app()
