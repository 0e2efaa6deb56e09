"""`vitreid bench`: the speed of a bundle on this machine, and the settings to use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.service.cli.options import finite_option
from vitreid.terminal import AsJson, emit, end_interrupted, progress_bar

if TYPE_CHECKING:
    from vitreid.service.models.bench import Bench, Measured

HEAD = "runtime   provider  precision threads batch  images/s   p50 ms   p99 ms   cosine"
OBJECTIVES = {
    "throughput": "most images per second, for indexing and many clients",
    "latency": "fastest answer to one image",
}

BundleDir = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The model.")]
Seconds = Annotated[
    float, typer.Option(min=0, callback=finite_option, help="How long to measure at most, without loading.")
]


def bench(bundle: BundleDir, seconds: Seconds = 60, as_json: AsJson = False) -> None:
    """Measure a bundle on this machine with every runtime that works here, and recommend settings.

    Let nothing else run meanwhile. Ctrl-C ends it, and what was measured until then is printed.
    """
    from vitreid.bundle import Bundle
    from vitreid.service.config import load_config
    from vitreid.service.models.bench import bench as measure

    with progress_bar("measuring", "measurements") as progress:
        found = measure(Bundle.open(bundle), load_config().choice, seconds=seconds, progress=progress)
    emit(values(found), lines(found), as_json=as_json)
    if found.interrupted:
        end_interrupted("what was measured until then is printed")


def lines(found: Bench) -> Iterator[str]:
    """Yield the table, what is not available, and settings to copy."""
    from vitreid.bundle.cores import cores
    from vitreid.service.models.bench import name_of, recommended, settings_of

    manifest = found.bundle.manifest
    yield (
        f"{manifest.name}, {manifest.image.height}x{manifest.image.width}, exported in {manifest.precision}, "
        f"on {cores()} cores; cosine: the minimum to the reference, corrected for the spread of embeddings\n"
    )
    yield HEAD
    yield from map(_row, found.measured)
    for each in found.unavailable:
        yield f"\nnot available: {name_of(each.configuration)}: {each.reason}"
    for objective, meaning in OBJECTIVES.items():
        if (best := recommended(found, objective)) is not None:
            yield f"\n{meaning}: {best.images_per_s:.1f} images/s, a run in {best.percentile_ms(50):.1f} ms"
            yield from (f"  {name}={value}" for name, value in settings_of(found, best).items())


def values(found: Bench) -> dict[str, object]:
    """Return the same for JSON."""
    from vitreid.bundle.cores import cores
    from vitreid.service.models.bench import name_of, recommended, settings_of

    manifest = found.bundle.manifest
    best = {objective: recommended(found, objective) for objective in OBJECTIVES}
    return {
        "bundle": {"id": manifest.bundle_id, "name": manifest.name, "precision": manifest.precision},
        "cores": cores(),
        "measured": [_numbers(each) for each in found.measured],
        "unavailable": [
            {"configuration": name_of(each.configuration), "reason": each.reason} for each in found.unavailable
        ],
        "recommended": {name: settings_of(found, each) for name, each in best.items() if each is not None},
        "interrupted": found.interrupted,
    }


def _numbers(each: Measured) -> dict[str, object]:
    return {
        "runtime": each.choice.runtime,
        "provider": each.choice.providers[0],
        "precision": each.choice.precision,
        "threads": each.choice.threads,
        "batch": each.batch,
        "images_per_s": round(each.images_per_s, 2),
        "p50_ms": round(each.percentile_ms(50), 3),
        "p99_ms": round(each.percentile_ms(99), 3),
        "runs": len(each.run_ms),
        "min_cosine": round(each.min_cosine, 6),
    }


def _row(each: Measured) -> str:
    choice = each.choice
    return (
        f"{choice.runtime:9} {choice.providers[0]:9} {choice.precision:9} {choice.threads or '':>7} {each.batch:>5} "
        f"{each.images_per_s:>9.1f} {each.percentile_ms(50):>8.1f} {each.percentile_ms(99):>8.1f} "
        f"{each.min_cosine:>8.5f}"
    )
