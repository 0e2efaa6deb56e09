"""Speed of indexing a folder, relative to the bare runtime.

Both use the same images, batches and threads. `raw` only runs the model on prepared pixels in memory; `index` reads,
hashes, decodes, resizes, embeds, encodes the stored image and commits, into a new gallery each time. They alternate, so
that changes of the machine's speed affect both; the result is the ratio of the medians.

    python -m benchmarks.indexing --bundle BUNDLE --images FOLDER [--rounds 5] [--json]
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from vitreid.bundle import Bundle, read_image
from vitreid.service.gallery import Gallery
from vitreid.service.intake.folders import find_images, read_folder
from vitreid.service.intake.indexing import index_folder
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice

GOAL = 0.85


def main(
    bundle: Annotated[Path, typer.Option(help="bundle to embed with")],
    images: Annotated[Path, typer.Option(help="folder of valid images")],
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    threads: Annotated[int | None, typer.Option(help="cores of one run; all by default")] = None,
    runtime: str = "onnx",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    result = measure(
        Embedder(Bundle.open(bundle), RuntimeChoice(runtime, threads=threads)),
        images,
        rounds=rounds,
        batch_size=batch_size,
    )
    if as_json:
        print(json.dumps(result))
        return
    print(f"{result['images']} images in batches of {batch_size}, {rounds} rounds, {result['provider']}")
    print(f"{'':8}{'median':>10}{'lowest':>10}{'highest':>10}   images/s")
    for side in ("raw", "index"):
        rates = result[side]
        print(f"{side:8}{statistics.median(rates):10.1f}{min(rates):10.1f}{max(rates):10.1f}")
    print(f"ratio   {result['ratio']:10.3f}   (goal: at least {GOAL})")


def measure(embedder: Embedder, folder: Path, *, rounds: int, batch_size: int) -> dict[str, Any]:
    """Return the images per second of both in each round, and the ratio of their medians."""
    pixels = [embedder.prepare(read_image(path)) for path in find_images(folder)]
    raw_images_per_s(embedder, pixels[:batch_size], batch_size)  # the first run sets up the runtime's memory
    raw: list[float] = []
    index: list[float] = []
    for _ in range(rounds):
        raw.append(raw_images_per_s(embedder, pixels, batch_size))
        index.append(index_images_per_s(embedder, folder, batch_size))
    return {
        "images": len(pixels),
        "batch_size": batch_size,
        "provider": embedder.runtime.provider,
        "raw": raw,
        "index": index,
        "ratio": statistics.median(index) / statistics.median(raw),
        "goal": GOAL,
    }


def raw_images_per_s(embedder: Embedder, pixels: Sequence[NDArray[np.uint8]], batch_size: int) -> float:
    started = time.perf_counter()
    for start in range(0, len(pixels), batch_size):
        batch = pixels[start : start + batch_size]
        embedder.run(batch, [None] * len(batch))
    return len(pixels) / (time.perf_counter() - started)


def index_images_per_s(embedder: Embedder, folder: Path, batch_size: int) -> float:
    manifest = embedder.manifest
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "gallery"
        with Gallery.open(path, bundle_id=manifest.bundle_id, dimension=manifest.dimension, load=False) as gallery:
            report = index_folder(read_folder(folder), gallery, embedder, batch_size=batch_size)
    if report.bad or not report.added:
        raise SystemExit(f"{folder} has invalid images: {report.bad[:3]}")
    return report.images_per_s


if __name__ == "__main__":
    typer.run(main)
