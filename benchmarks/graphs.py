"""Speed of exported graphs, by optimisation, precision and runtime.

    python -m benchmarks.graphs [--rounds 15] [--batch 8]

All graphs embed the same images in turns, first with one core, then with two. A ratio is the median over rounds of
times that were measured next to each other; "best" compares each graph's better number of cores.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer

from benchmarks.models import random_model, saved
from vitreid.bundle import Bundle, BundleRunner, ImageSpec, OpenVinoRunner
from vitreid.bundle.run_openvino import precisions
from vitreid.export.fast import FastTransformer, fast_form
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.precision import convert
from vitreid.training.model import ReIDModel

THREADS = (1, 2)
PLAIN, FAST = "torch's export, opset 18", "`vitreid export onnx` (all of the above)"
JPM_PLAIN, JPM, INT8 = "JPM, torch's export, opset 18", "JPM, `vitreid export onnx`", "`vitreid export onnx`, int8"
BASELINES = {JPM: FAST, INT8: FAST}
"""Baselines of graphs that are not compared with torch's export."""
GOALS = {FAST: 1.15, JPM: 1 / 1.15, INT8: 2.0, "OpenVINO bf16": 1.8}
"""Required speed relative to the baseline."""

Runs = Mapping[str, Callable[[], object]]
Seconds = dict[str, list[float]]
Open = Callable[[int], BundleRunner | OpenVinoRunner]


def main(rounds: int = 15, batch: int = 8) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(*lines(measure(Path(folder), rounds=rounds, batch=batch), batch), sep="\n")


def measure(folder: Path, *, rounds: int, batch: int, **model: Any) -> dict[int, Seconds]:
    """Return the seconds of each graph by number of cores, one value per round; `model` as in random_model."""
    opened = dict(sides(folder, **model))
    found = {}
    for threads in THREADS:
        runners = {name: each(threads) for name, each in opened.items()}
        image = next(iter(runners.values())).manifest.image
        pixels = np.random.default_rng(0).integers(0, 256, (batch, image.height, image.width, 3), dtype=np.uint8)
        found[threads] = alternate({name: partial(runner.run, pixels) for name, runner in runners.items()}, rounds)
    return found


def sides(folder: Path, **model: Any) -> Iterator[tuple[str, Open]]:
    """Yield the compared graphs: their name, and a function that opens a runner with a number of cores."""
    image = ImageSpec(height=model.get("height", 256), width=model.get("width", 128))
    bundles = {
        name: saved(graph, folder / str(number), opset, image)
        for number, (name, (graph, opset)) in enumerate(steps(**model).items())
    }
    bundles[INT8] = quantised(bundles[FAST], folder / "int8")
    for name, bundle in bundles.items():
        yield name, partial(_by_onnxruntime, bundle)
    for precision in precisions():
        yield f"OpenVINO {precision}", partial(_by_openvino, bundles[FAST], precision)


def _by_onnxruntime(bundle: Bundle, threads: int) -> BundleRunner:
    return BundleRunner(bundle, threads=threads)


def _by_openvino(bundle: Bundle, precision: str, threads: int) -> OpenVinoRunner:
    return OpenVinoRunner(bundle, threads=threads, precision=precision)


def steps(**model: Any) -> dict[str, tuple[EmbeddingGraph | FastTransformer, int]]:
    """Return the steps from torch's export to ours: graphs, and the opset of each."""
    plain, cut = random_model(**model), random_model(**model, jpm={})
    return {
        PLAIN: (EmbeddingGraph(plain), 18),
        "torch's export, opset 23: `Attention`, `Gelu`": (EmbeddingGraph(plain), 23),
        "products on rows, opset 18": (fast_form(all_tokens(plain), 18), 18),
        "products on rows, opset 23": (fast_form(all_tokens(plain), 23), 23),
        "products on rows, the class token alone at the end, opset 18": (fast_form(plain, 18), 18),
        FAST: (fast_form(plain, 23), 23),
        JPM_PLAIN: (EmbeddingGraph(cut), 18),
        JPM: (fast_form(cut, 23), 23),
    }


def all_tokens(model: ReIDModel) -> ReIDModel:
    """Return the same network without the information that its feature is the class token."""
    other = deepcopy(model)
    backbone: Any = other.backbone
    backbone.pooling = lambda tokens: tokens[:, 0]
    return other


def quantised(bundle: Bundle, folder: Path) -> Bundle:
    """Return the bundle in int8."""
    folder.mkdir()
    convert("int8", bundle.model_path, folder / "model.onnx")
    manifest = bundle.manifest
    return Bundle.save(
        folder / "bundle", folder / "model.onnx", name="int8", image=manifest.image, output=manifest.output
    )


def alternate(runs: Runs, rounds: int) -> Seconds:
    """Return the seconds of each run in each round; they take turns after one warm-up run each."""
    for run in runs.values():
        run()
    took: Seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            took[name].append(time.perf_counter() - began)
    return took


def lines(found: Mapping[int, Seconds], batch: int) -> Iterator[str]:
    """Yield a table in Markdown."""
    each = " | ".join(f"images/s, {threads} core{'s'[: threads - 1]} | ratio" for threads in found)
    yield f"| graph | {each} | best | goal |\n{'|---' * (3 + 2 * len(found))}|"
    for name in next(iter(found.values())):
        cells = []
        for took in found.values():
            ratio = statistics.median(its / own for its, own in zip(took[baseline_of(name)], took[name], strict=True))
            cells += [f"{batch / statistics.median(took[name]):.1f}", f"{ratio:.2f}"]
        goal = f"{GOALS[name]:.2f}" if name in GOALS else ""
        yield f"| {name} | {' | '.join(cells)} | {best(found, name) / best(found, baseline_of(name)):.2f} | {goal} |"
    yield (
        f"\nRatios are relative to {PLAIN!r}; those of JPM by `vitreid export onnx`, int8 and OpenVINO to "
        "`vitreid export onnx` without JPM."
    )


def baseline_of(name: str) -> str:
    """Return the baseline of a graph."""
    return FAST if name.startswith("OpenVINO") else BASELINES.get(name, PLAIN)


def best(found: Mapping[int, Seconds], name: str) -> float:
    """Return the runs per second with the better number of cores."""
    return max(1 / statistics.median(took[name]) for took in found.values())


if __name__ == "__main__":
    typer.run(main)
