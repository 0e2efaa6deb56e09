"""What `vitreid bench` tells: a table, what does not work here, and the settings to take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from vitreid.bundle.cores import cores
from vitreid.service.cli.bench_actions import Bench, Measured, name_of

NEAR_COSINE = 0.999
"""Least corrected cosine of a way that is recommended: with less, scores are no longer those of the model."""
NO_FASTER = 1.03
"""What is less than this faster is not, on a machine that does other things as well."""

HEAD = "runtime   provider  precision threads batch  images/s   p50 ms   p99 ms   cosine"

GOALS: dict[str, tuple[str, Callable[[Measured], float]]] = {
    "throughput": ("most images a second, for indexing and for many clients", lambda each: each.images_per_s),
    "latency": ("the soonest answer to one image", lambda each: 1 / each.percentile_ms(50)),
}
"""What settings are recommended for, and how good a way is for it."""


def print_bench(found: Bench, *, as_json: bool) -> None:
    """Everything that was measured, or one JSON object of it."""
    print(json.dumps(as_object(found), ensure_ascii=False) if as_json else "\n".join(as_text(found)))


def as_text(found: Bench) -> Iterator[str]:
    """The table, what does not work here, and settings to copy, as lines."""
    manifest = found.bundle.manifest
    yield (
        f"{manifest.name}, {manifest.image.height}x{manifest.image.width}, exported in {manifest.precision}, "
        f"on {cores()} cores; cosine: the least to the reference, by the spread of embeddings\n"
    )
    yield HEAD
    yield from map(_row, found.measured)
    for missing in found.missing:
        yield f"\nnot here: {name_of(missing.way)}: {missing.reason}"
    for goal, (told, _) in GOALS.items():
        if (best := recommended(found, goal)) is not None:
            yield f"\n{told}: {best.images_per_s:.1f} images/s, a run in {best.percentile_ms(50):.1f} ms"
            yield from (f"  {name}={value}" for name, value in settings_of(found, best).items())


def as_object(found: Bench) -> dict[str, object]:
    """The same for programs."""
    manifest = found.bundle.manifest
    best = {goal: recommended(found, goal) for goal in GOALS}
    return {
        "bundle": {"id": manifest.bundle_id, "name": manifest.name, "precision": manifest.precision},
        "cores": cores(),
        "measured": [_numbers(each) for each in found.measured],
        "missing": [{"way": name_of(each.way), "reason": each.reason} for each in found.missing],
        "recommended": {goal: settings_of(found, each) for goal, each in best.items() if each is not None},
        "interrupted": found.interrupted,
    }


def recommended(found: Bench, goal: str) -> Measured | None:
    """The best measured way for a goal; of those as good, that with the fewest cores and the smallest runs.

    A latency is that of single images. None where nothing was measured that gives the reference's embeddings.
    """
    _, worth = GOALS[goal]
    able = [each for each in found.measured if each.least_cosine >= NEAR_COSINE]
    if goal == "latency":
        able = [each for each in able if each.batch == 1]
    if not able:
        return None
    most = max(map(worth, able))
    good = [each for each in able if worth(each) * NO_FASTER >= most]
    return min(good, key=lambda each: (each.choice.threads or 0, each.batch))


def settings_of(found: Bench, best: Measured) -> dict[str, str]:
    """The VITREID_* variables that make a service run so."""
    choice, written = best.choice, found.bundle.manifest.precision
    settings = {"VITREID_RUNTIME": choice.runtime, "VITREID_PROVIDER": choice.providers[0]}
    if choice.precision is not None and choice.precision != written:
        settings["VITREID_PRECISION"] = choice.precision
    if choice.threads is not None:
        settings["VITREID_THREADS"] = str(choice.threads)
    return settings | {"VITREID_MAX_BATCH": str(best.batch)}


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
        "least_cosine": round(each.least_cosine, 6),
    }


def _row(each: Measured) -> str:
    choice = each.choice
    return (
        f"{choice.runtime:9} {choice.providers[0]:9} {choice.precision:9} {choice.threads or '':>7} {each.batch:>5} "
        f"{each.images_per_s:>9.1f} {each.percentile_ms(50):>8.1f} {each.percentile_ms(99):>8.1f} "
        f"{each.least_cosine:>8.5f}"
    )
