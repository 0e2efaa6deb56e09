"""Latency of queries over HTTP, and throughput of many clients relative to the bare runtime.

Latency: one query at a time, alternately over HTTP (raw body) and in this process (decode, run, search of the same
gallery); the ratio of the medians. Load: N clients with one connection each, and the bare runtime with prepared images
in memory, alternately; the ratio of the medians, and p99 / p50 of the clients' latencies. The bare speed is the better
one of single images and full batches.

    python -m benchmarks.serving --bundle BUNDLE --images FOLDER [--rounds 3] [--seconds 20] [--clients 16] [--json]
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.running import Running, serving
from vitreid.bundle import Bundle, read_image
from vitreid.service.config import gallery_folder
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.models.embedder import Embedder

GOALS = {"latency": 1.08, "throughput": 0.9, "p99_by_p50": 4.0}
K = 10


def main(
    bundle: Annotated[Path, typer.Option(help="bundle to embed with")],
    images: Annotated[Path, typer.Option(help="folder of crops (*.jpg)")],
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    queries: Annotated[int, typer.Option(min=1, help="queries over HTTP and in process in each round")] = 60,
    seconds: Annotated[float, typer.Option(min=1, help="seconds of load in each round")] = 20,
    clients: Annotated[int, typer.Option(min=1)] = 16,
    items: Annotated[int, typer.Option(min=1, help="random items in the gallery")] = 2000,
    max_batch: Annotated[int, typer.Option(min=1)] = 4,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    result = measure(
        Bundle.open(bundle),
        images,
        rounds=rounds,
        queries=queries,
        seconds=seconds,
        clients=clients,
        items=items,
        max_batch=max_batch,
    )
    if as_json:
        print(json.dumps(result))
        return
    for line in lines(result):
        print(line)


def measure(
    bundle: Bundle,
    images: Path,
    *,
    rounds: int,
    queries: int = 60,
    seconds: float = 20,
    clients: int = 16,
    items: int = 2000,
    max_batch: int = 4,
) -> dict[str, Any]:
    """Return the medians of both, and the ratios that have goals."""
    contents = [path.read_bytes() for path in sorted(images.glob("*.jpg"))]
    embedder = Embedder(bundle)
    pixels = [embedder.prepare(read_image(content)) for content in contents]
    http_ms: list[float] = []
    own_ms: list[float] = []
    raw: dict[int, list[float]] = {1: [], max_batch: []}
    load: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = gallery_folder(Path(scratch))
        fill(folder, bundle, items)
        with (
            Gallery.open(folder, bundle_id=bundle.manifest.bundle_id, dimension=embedder.dimension) as gallery,
            serving(Path(scratch), bundle.path, max_batch=max_batch) as service,
        ):
            for _ in range(rounds):
                both = latencies(service, embedder, gallery, contents, queries)
                http_ms += both[0]
                own_ms += both[1]
                for size in raw:
                    raw[size].append(raw_per_s(embedder, pixels, size, seconds / 4))
                load.append(loaded(service, images, clients, seconds))
    latency = {"http": statistics.median(http_ms), "process": statistics.median(own_ms)}
    bare = {size: statistics.median(rates) for size, rates in raw.items()}
    served = statistics.median(each["per_s"] for each in load)
    loaded_ms = np.sort(np.concatenate([each["ms"] for each in load]))
    p50, p99 = (float(np.percentile(loaded_ms, at)) for at in (50, 99))
    return {
        "provider": embedder.runtime.provider,
        "clients": clients,
        "max_batch": max_batch,
        "p50_ms": latency,
        "bare_per_s": bare,
        "served_per_s": served,
        "loaded_ms": {"p50": p50, "p99": p99},
        "statuses": sorted({status for each in load for status in each["statuses"]}),
        "ratios": {
            "latency": latency["http"] / latency["process"],
            "throughput": served / max(bare.values()),
            "p99_by_p50": p99 / p50,
        },
        "goals": GOALS,
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the result as a Markdown table."""
    ratios, loaded_ms, p50 = result["ratios"], result["loaded_ms"], result["p50_ms"]
    bare = ", ".join(f"{rate:.1f} in batches of {size}" for size, rate in result["bare_per_s"].items())
    return [
        "| measurement | result | ratio | goal |",
        "|---|---|---|---|",
        f"| query p50 over HTTP, compared with decode + run + search in process | {p50['http']:.2f} ms, "
        f"{p50['process']:.2f} ms | {ratios['latency']:.3f} | at most {GOALS['latency']} |",
        f"| {result['clients']} clients, compared with the bare runtime | {result['served_per_s']:.1f}/s; {bare} | "
        f"{ratios['throughput']:.3f} | at least {GOALS['throughput']} |",
        f"| p99 of these clients, compared with their p50 | {loaded_ms['p99']:.0f} ms, {loaded_ms['p50']:.0f} ms | "
        f"{ratios['p99_by_p50']:.2f} | at most {GOALS['p99_by_p50']:g} |",
    ]


def fill(folder: Path, bundle: Bundle, items: int) -> None:
    """Create a gallery of random unit embeddings."""
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((items, bundle.manifest.dimension)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    manifest = bundle.manifest
    with Gallery.open(folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, load=False) as gallery:
        gallery.add([NewItem(each, image_hash=f"{number:064x}") for number, each in enumerate(embeddings)])


def latencies(
    service: Running, embedder: Embedder, gallery: Gallery, contents: Sequence[bytes], queries: int
) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each query over HTTP, and of each in this process, measured in turns."""
    connection = http.client.HTTPConnection(service.host, service.port, timeout=60)
    over_http: list[float] = []
    in_process: list[float] = []
    for turn in range(queries + 5):
        content = contents[turn % len(contents)]
        begin = time.perf_counter()
        ask(connection, content)
        answered = time.perf_counter()
        pixels = embedder.prepare(read_image(content))
        gallery.search(embedder.run([pixels], [None]), K)
        ended = time.perf_counter()
        if turn >= 5:  # the first ones are a warm-up
            over_http.append(1000 * (answered - begin))
            in_process.append(1000 * (ended - answered))
    connection.close()
    return over_http, in_process


def ask(connection: http.client.HTTPConnection, content: bytes) -> None:
    """Send one query and read its answer."""
    connection.request("POST", f"/v1/query?k={K}", content, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"a query was answered with {answer.status}: {body.decode()}")


def raw_per_s(embedder: Embedder, pixels: Sequence[NDArray[np.uint8]], size: int, seconds: float) -> float:
    """Return the images per second of the bare runtime."""
    done = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        batch = [pixels[(done + offset) % len(pixels)] for offset in range(size)]
        embedder.run(batch, [None] * size)
        done += size
    return done / (time.perf_counter() - begin)


def loaded(service: Running, images: Path, clients: int, seconds: float) -> dict[str, Any]:
    """Return the latencies and statuses of clients in a separate process."""
    command = [
        *(sys.executable, "-m", "benchmarks.load_client", service.host, str(service.port), f"/v1/query?k={K}"),
        *(str(images), "--clients", str(clients), "--seconds", str(seconds)),
    ]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


if __name__ == "__main__":
    typer.run(main)
