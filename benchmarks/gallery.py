"""Overhead of a gallery on top of its index and its disk.

Searches are compared, query by query in turns, with the bare index over the same embeddings, and with a filter for one
camera of six. Writes are single items with an image of 4 KiB, timed from the embedding to the acknowledgement, and
compared in turns with a durable insert of the same bytes in bare SQLite, because the time of the disk varies more from
minute to minute than between programs. Opening is timed from a snapshot and from the rows.

    python -m benchmarks.gallery [--rows 100000] [--searches 300] [--writes 500] [--index flat] [--json]
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.random_embeddings import Embeddings, population_for
from vitreid.service.gallery import EVERYTHING, Filter, Gallery, NewItem

DIMENSION = 384
K = 10
BATCH = 5000
IMAGE = np.random.default_rng(0).bytes(4096)
GOALS = {"search": 1.15, "filter": 1.5, "p50_ms": 2.0, "p99_ms": 15.0, "open_s": 10.0}

Milliseconds = list[float]
T = TypeVar("T")


def main(
    rows: Annotated[int, typer.Option(min=1000)] = 100_000,
    searches: Annotated[int, typer.Option(min=10)] = 300,
    writes: Annotated[int, typer.Option(min=10)] = 500,
    index: str = "flat",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    result = measure(rows=rows, searches=searches, writes=writes, index=index)
    print(json.dumps(result) if as_json else "\n".join(lines(result)))


def measure(
    *, rows: int = 100_000, searches: int = 300, writes: int = 500, index: str = "flat", dimension: int = DIMENSION
) -> dict[str, Any]:
    """Return all results of one run; times are in ms unless they end in `_s`, ratios are of medians."""
    people = population_for(rows, dimension)
    queries = people.queries(searches + writes).embeddings
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "gallery"
        embeddings = people.gallery(rows)
        opening: dict[str, Any] = {"bundle_id": "a" * 64, "dimension": dimension, "index": index}
        with Gallery.open(folder, **opening, load=False) as gallery:
            result: dict[str, Any] = {"rows": rows, "dimension": dimension}
            result["fill_s"], _ = _timed(partial(fill, gallery, embeddings))
            result["open_from_rows_s"], _ = _timed(gallery.refresh)
            result["rebuild_s"], _ = _timed(partial(gallery.rebuild_index, only_if_due=True))
            result["index"] = gallery.info().index
            result["search"] = search_times(gallery, embeddings.embeddings, queries[:searches])
            result["write"] = write_times(gallery, Path(scratch) / "bare.db", queries[searches:])
            result["snapshot_s"], _ = _timed(gallery.write_snapshot)
        result["open_from_snapshot_s"], gallery = _timed(partial(Gallery.open, folder, **opening))
        gallery.close()
    return result


def fill(gallery: Gallery, rows: Embeddings) -> None:
    """Add items of six cameras, without images."""
    labels = list(zip(rows.embeddings, rows.cameras.tolist(), rows.persons.tolist(), strict=True))
    for start in range(0, len(labels), BATCH):
        gallery.add(
            [
                NewItem(embedding, f"{start + offset:064d}", camera_id=f"c{camera}", person_id=f"{person}")
                for offset, (embedding, camera, person) in enumerate(labels[start : start + BATCH])
            ]
        )


def search_times(gallery: Gallery, rows: NDArray[np.float32], queries: NDArray[np.float32]) -> dict[str, float]:
    """Return the medians of one query at a time, and their ratios."""
    import faiss

    view = gallery._live.view  # the bare side is the same index, without the gallery around it
    assert view is not None
    bare: Any = view.index
    if bare.kind == "flat":
        bare = faiss.IndexFlatIP(gallery.dimension)
        bare.add(rows)
    one_camera = Filter(cameras=frozenset({"c1"}))
    sides: dict[str, Callable[[NDArray[np.float32]], object]] = {
        "bare": lambda query: bare.search(query, K),
        "gallery": lambda query: gallery.search(query, K, where=EVERYTHING),
        "filtered": lambda query: gallery.search(query, K, where=one_camera),
    }
    took: dict[str, Milliseconds] = {side: [] for side in sides}
    for query in queries:
        for side, run in sides.items():
            faiss.omp_set_num_threads(1)
            took[side].append(1000 * _timed(partial(run, query[None]))[0])
    medians = {f"{side}_ms": float(np.median(times)) for side, times in took.items()}
    return medians | {
        "to_bare": medians["gallery_ms"] / medians["bare_ms"],
        "filtered_to_unfiltered": medians["filtered_ms"] / medians["gallery_ms"],
    }


def write_times(gallery: Gallery, bare: Path, embeddings: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Return p50 and p99 of additions, deletions and bare inserts."""
    took: dict[str, Milliseconds] = {"bare": [], "add": [], "delete": []}
    with closing(sqlite3.connect(bare, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (a BLOB, b BLOB)"):
            connection.execute(statement)
        for number, embedding in enumerate(embeddings):
            values = (embedding.tobytes(), IMAGE)
            took["bare"].append(1000 * _timed(partial(connection.execute, "INSERT INTO t VALUES (?, ?)", values))[0])
            item = NewItem(embedding, f"written {number}", IMAGE, camera_id="c1", metadata={"door": "north"})
            seconds, [added] = _timed(partial(gallery.add, [item]))
            took["add"].append(1000 * seconds)
            if number % 2:
                took["delete"].append(1000 * _timed(partial(gallery.delete, added.id))[0])
    return {side: {f"p{at}_ms": float(np.percentile(times, at)) for at in (50, 99)} for side, times in took.items()}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Return the result as Markdown."""
    search, write = result["search"], result["write"]
    yield f"{result['rows']:,} x {result['dimension']}, index {result['index']}, one query at a time, k = {K}."
    yield ""
    yield "| | p50 | p99 | ratio | goal |\n|---|---|---|---|---|"
    yield f"| bare index | {search['bare_ms']:.2f} ms | | | |"
    yield f"| `Gallery.search` | {search['gallery_ms']:.2f} ms | | {search['to_bare']:.2f} | {GOALS['search']} |"
    ratio = f"{search['filtered_to_unfiltered']:.2f} | {GOALS['filter']}"
    yield f"| one camera of six | {search['filtered_ms']:.2f} ms | | {ratio} |"
    goals = f"{GOALS['p50_ms']:.0f} and {GOALS['p99_ms']:.0f} ms"
    for side, name in (("bare", "bare SQLite insert"), ("add", "addition"), ("delete", "deletion")):
        p50, p99 = write[side]["p50_ms"], write[side]["p99_ms"]
        yield f"| {name} | {p50:.2f} ms | {p99:.2f} ms | | {goals if side != 'bare' else ''} |"
    yield ""
    yield "| opening from snapshot | opening from rows | building the final index | writing a snapshot | adding rows |"
    yield "|---|---|---|---|---|"
    sides = ("open_from_snapshot", "open_from_rows", "rebuild", "snapshot", "fill")
    yield "| " + " | ".join(f"{result[f'{side}_s']:.1f} s" for side in sides) + " |"


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    typer.run(main)
