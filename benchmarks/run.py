"""Run benchmarks and write their results to RESULTS.md.

    python -m benchmarks.run [SECTION ...] [--rounds N] [--soak MINUTES]

Without sections all of them run, which takes most of an hour; otherwise the other sections of the file stay unchanged.
Machines differ and are shared: compare ratios within a section, not seconds between sections.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    attacks,
    cold_start,
    demo,
    gallery,
    graphs,
    hostile,
    indexing,
    patches,
    reranking,
    scale,
    scoring,
    served_scores,
    serving,
    soak,
    training,
)
from benchmarks.models import explained_bundle, random_bundle
from vitreid.bundle import Bundle
from vitreid.bundle.run_openvino import precisions
from vitreid.service.models.bundle_choice import starter_path
from vitreid.service.models.embedder import Embedder
from vitreid.synthetic import draw_dataset

RESULTS = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results

Written by `make bench`. The machine may be shared: compare ratios within a section rather than seconds.
"""


@dataclass(frozen=True)
class Inputs:
    """Inputs of the sections: a scratch folder, data sets and bundles in it, and the duration."""

    folder: Path
    rounds: int
    soak_minutes: float

    @cached_property
    def people(self) -> Path:
        """Sixty drawn people, seen by six cameras."""
        draw_dataset(self.folder / "people", identities=60, cameras=6, images=2, seed=3)
        return self.folder / "people"

    @cached_property
    def vit_s(self) -> Bundle:
        """A ViT-S with random weights."""
        return random_bundle(self.folder / "vit_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--soak", type=float, default=10, help="minutes of mixed load")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {sorted(unknown)[0]!r}; choose from {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder), options.rounds, options.soak)
        for name in options.sections or SECTIONS:
            title, section = SECTIONS[name]
            lines = [f"## {title}", "", *circumstances(), ""]
            for line in section(inputs):
                print(line, flush=True)
                lines.append(line)
            replace_section(title, "\n".join(lines))


def replace_section(title: str, text: str) -> None:
    """Replace or insert a section in RESULTS.md."""
    found = re.split(r"^(?=## )", RESULTS.read_text() if RESULTS.is_file() else HEAD, flags=re.MULTILINE)[1:]
    sections = {each.partition("\n")[0].removeprefix("## "): each.strip() for each in found} | {title: text.strip()}
    titles = [each for each, _ in SECTIONS.values() if each in sections]
    RESULTS.write_text("\n\n".join([HEAD.strip(), *(sections[each] for each in titles)]) + "\n")


def circumstances() -> Iterator[str]:
    """Yield date, commit, machine, its load, and versions."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    packages = ("numpy", "onnxruntime", "openvino", "faiss-cpu", "torch", "timm")
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}; {_processor()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
    )


def drawing_section(inputs: Inputs) -> Iterator[str]:
    """Yield the speed of drawing people."""
    # In a separate process: workers import the main module again, which here would import torch.
    command = [sys.executable, "-m", "benchmarks.drawing"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    speeds = {row["workers"]: row["images_per_s"] for row in map(json.loads, output) if "workers" in row}
    yield "| processes | images/s |\n|---|---|"
    yield from (f"| {workers} | {speed:.0f} |" for workers, speed in speeds.items())
    yield f"\nTwo processes compared with one: {speeds[2] / speeds[1]:.2f}x. Goal: at least 100 images/s on two cores."


def indexing_section(inputs: Inputs) -> Iterator[str]:
    """Yield the speed of `vitreid index` and of the bare runtime."""
    yield "Same bundle, images, batches of 32 and threads; medians of alternating rounds. Goal: at least 0.85.\n"
    yield "| bundle | images | runtime images/s | `vitreid index` images/s | ratio |\n|---|---|---|---|---|"
    bundles = {
        "ViT-S 256x128, random weights": (inputs.vit_s, "query"),
        "starter": (Bundle.open(starter_path()), "."),
    }
    for name, (bundle, part) in bundles.items():
        result = indexing.measure(Embedder(bundle), inputs.people / part, rounds=inputs.rounds, batch_size=32)
        raw, index = (statistics.median(result[side]) for side in ("raw", "index"))
        yield f"| {name} | {result['images']} | {raw:.0f} | {index:.0f} | {result['ratio']:.2f} |"


def scores_section(inputs: Inputs) -> Iterator[str]:
    """Yield the scores of the running service and of the evaluation."""
    result = served_scores.compare(starter_path(), inputs.people)
    yield "60 drawn people, seen by 6 cameras, unknown to the starter; every query is sent to `POST /v1/query`.\n"
    yield "| | mAP | rank-1 |\n|---|---|---|"
    yield f"| `vitreid evaluate` | {result['evaluated']['mAP']:.4f} | {result['evaluated']['rank1']:.4f} |"
    yield f"| service | {result['served']['mAP']:.4f} | {result['served']['rank1']:.4f} |"
    yield f"\nDifference of mAP: {result['mAP_difference']:.1e}. Goal: at most 1e-3."


def training_section(inputs: Inputs) -> Iterator[str]:
    """Yield the cost of TransReID's parts and of the losses on patches in a training step."""
    yield "16 images in bfloat16, forward, losses, backward, optimiser; the configurations take turns.\n"
    yield from training.lines(training.measure(rounds=inputs.rounds))


def scoring_section(inputs: Inputs) -> Iterator[str]:
    """Yield time and memory of scoring at MSMT17's size."""
    yield from scoring.table(scoring.Size())


def reranking_section(inputs: Inputs) -> Iterator[str]:
    """Yield time and memory of sparse re-ranking, compared with the dense published form."""
    yield "k-reciprocal re-ranking of random embeddings, each run in its own process.\n"
    yield "| queries + gallery | speed against dense | memory against dense | difference of mAP |\n|---|---|---|---|"
    for queries, size in ((1000, 5000), reranking.MARKET):
        found = reranking.compare(queries, size, 1)
        yield (
            f"| {queries:,} + {size:,} | {found['times_faster']:.1f}x | {found['share_of_memory']:.0%} "
            f"| {found['mAP_difference']:.1e} |"
        )
    largest = reranking.measured("sparse", *reranking.MSMT17)
    yield (
        f"\nAt MSMT17's size ({reranking.MSMT17[0]:,} + {reranking.MSMT17[1]:,}) ours took {largest['seconds']:.0f} s "
        f"and {largest['peak_mib'] / 1024:.2f} GiB, {largest['before_mib'] / 1024:.2f} GiB of them before the start."
    )
    yield "\nGoals at Market-1501's size: at least 8x faster, under 1.5 GiB, the same mAP to 1e-3."
    yield "Goal at MSMT17's size: under 8 GiB."


def patches_section(inputs: Inputs) -> Iterator[str]:
    """Yield the cost of re-ranking by patches."""
    bundle = explained_bundle(inputs.folder / "explained")
    yield "The top 50 of drawn people for a stored item; with random weights nearly all patches are foreground.\n"
    yield from patches.cost_lines(patches.measure_cost(bundle, inputs.people / "query", 4 * inputs.rounds))


def gallery_section(inputs: Inputs) -> Iterator[str]:
    """Yield the overhead of a gallery on top of its index and its disk."""
    yield from gallery.lines(gallery.measure())


def scale_section(inputs: Inputs) -> Iterator[str]:
    """Yield the measurements of indexes from a thousand to a million embeddings."""
    yield "Random embeddings with persons, cameras and look-alikes, dimension 384. Filtered: one camera of six.\n"
    for size, kinds in SCALE.items():
        rows = scale.table(scale.measure([size], kinds))
        yield from rows if size == next(iter(SCALE)) else list(rows)[2:]
    yield "\nGoals at a million with ivf: memory at most 0.6, recall at least 0.99 in under 10 ms, also filtered."


def million_section(inputs: Inputs) -> Iterator[str]:
    """Yield the measurements of a gallery of a million items."""
    yield from gallery.lines(gallery.measure(rows=1_000_000, searches=100, writes=200, index="ivf"))
    yield "\nGoal: opening from a snapshot in under 10 s."


def graphs_section(inputs: Inputs) -> Iterator[str]:
    """Yield the speed of graphs by optimisation, precision and runtime."""
    yield "Batches of 8 of the same images; all graphs take turns, first with one core, then with two.\n"
    yield from graphs.lines(graphs.measure(inputs.folder / "graphs", rounds=3 * inputs.rounds, batch=8), batch=8)


def serving_section(inputs: Inputs) -> Iterator[str]:
    """Yield latency and throughput of the service, relative to the bare runtime."""
    yield "A gallery of 2,000 items; service and bare runtime take turns.\n"
    yield from serving.lines(serving.measure(inputs.vit_s, inputs.people / "query", rounds=inputs.rounds))


def cold_start_section(inputs: Inputs) -> Iterator[str]:
    """Yield the time from the start of a service to its first answer."""
    supported = {
        name: each for name, each in cold_start.SETTINGS.items() if each.get("precision") in (None, *precisions())
    }
    yield "A new process and an empty data folder each time, to a 200 of `/readyz`; the runtimes take turns.\n"
    yield from cold_start.lines(cold_start.measure(inputs.vit_s.path, supported, rounds=inputs.rounds))


def soak_section(inputs: Inputs) -> Iterator[str]:
    """Yield memory and errors of a service under mixed load."""
    yield from soak.lines(soak.measure(starter_path(), minutes=inputs.soak_minutes, clients=8))


def hostile_section(inputs: Inputs) -> Iterator[str]:
    """Yield the effect of attacks on the service."""
    yield "Each attack: a new service with default settings, and clients on the same machine for five seconds.\n"
    yield from hostile.lines(hostile.measure(starter_path(), attacks.ATTACKS, seconds=5))


def demo_section(inputs: Inputs) -> Iterator[str]:
    """Yield the time to the demo's first answer."""
    times, trained = demo.measure(), demo.measure(train=True)
    yield "| | first run | second run |\n|---|---|---|"
    yield f"| starter bundle | {times['first_s']:.1f} s | {times['again_s']:.1f} s |"
    yield f"| `--train` | {trained['first_s']:.0f} s | {trained['again_s']:.0f} s |"
    yield "\nGoals: second run under 10 s; `--train` under 6 minutes."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


SCALE = {
    1_000: ("exact", "flat", "ivf"),
    10_000: ("exact", "flat", "ivf"),
    100_000: ("exact", "flat", "ivf"),
    200_000: ("flat", "ivf"),
    1_000_000: ("flat", "ivf"),
}
"""The measured indexes by size."""

SECTIONS: dict[str, tuple[str, Callable[[Inputs], Iterator[str]]]] = {
    "drawing": ("Drawing people (256x128)", drawing_section),
    "graphs": ("Exported graphs (ViT-S 256x128, random weights)", graphs_section),
    "indexing": ("Indexing, compared with the bare runtime", indexing_section),
    "serving": ("Serving, compared with the bare runtime (ViT-S 256x128, random weights)", serving_section),
    "cold-start": ("Cold start (ViT-S 256x128, random weights)", cold_start_section),
    "soak": ("Minutes of mixed load (starter bundle)", soak_section),
    "hostile": ("Attacks (starter bundle, default settings)", hostile_section),
    "gallery": ("A gallery of 100,000 items", gallery_section),
    "million": ("A gallery of a million items", million_section),
    "scale": ("Indexes by size", scale_section),
    "served-scores": ("Scores through the running service", scores_section),
    "training": ("Training steps", training_section),
    "scoring": ("Scoring at MSMT17's size", scoring_section),
    "reranking": ("Re-ranking", reranking_section),
    "patches": ("Re-ranking by patches (ViT-S 256x128, random weights)", patches_section),
    "demo": ("`vitreid demo --no-serve`", demo_section),
}


if __name__ == "__main__":
    main()
