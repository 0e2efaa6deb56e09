"""Ask benchmarks their questions and write the answers to RESULTS.md.

    python -m benchmarks.run [SECTION ...] [--rounds N] [--soak MINUTES]

Without sections all are asked, which takes most of an hour; otherwise the others stay as they are in the file.
Machines differ and are shared: compare ratios within a section, not seconds between them.
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

Written by `make bench`. The machine may be shared: read ratios within a section, not seconds.
"""


@dataclass(frozen=True)
class Asked:
    """What sections work with: a scratch folder, and how long they may take."""

    folder: Path
    rounds: int
    soak_minutes: float

    @cached_property
    def people(self) -> Path:
        """Sixty drawn people by six cameras."""
        draw_dataset(self.folder / "people", identities=60, cameras=6, images=2, seed=3)
        return self.folder / "people"

    @cached_property
    def vit_s(self) -> Bundle:
        """A ViT-S of random weights."""
        return random_bundle(self.folder / "vit_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--soak", type=float, default=10, help="minutes of everything at once")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {sorted(unknown)[0]!r}; choose from {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(Path(folder), options.rounds, options.soak)
        for name in options.sections or SECTIONS:
            title, section = SECTIONS[name]
            lines = [f"## {title}", "", *circumstances(), ""]
            for line in section(asked):
                print(line, flush=True)
                lines.append(line)
            renew(title, "\n".join(lines))


def renew(title: str, text: str) -> None:
    """Put a section in its place in RESULTS.md."""
    found = re.split(r"^(?=## )", RESULTS.read_text() if RESULTS.is_file() else HEAD, flags=re.MULTILINE)[1:]
    sections = {each.partition("\n")[0].removeprefix("## "): each.strip() for each in found} | {title: text.strip()}
    titles = [each for each, _ in SECTIONS.values() if each in sections]
    RESULTS.write_text("\n\n".join([HEAD.strip(), *(sections[each] for each in titles)]) + "\n")


def circumstances() -> Iterator[str]:
    """When it was measured, with what, and how busy the machine was."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    packages = ("numpy", "onnxruntime", "openvino", "faiss-cpu", "torch", "timm")
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}; {_processor()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
    )


def drawing_section(asked: Asked) -> Iterator[str]:
    """Speed of the synthetic people."""
    # In a process of its own: those that draw import again what their parent runs, and here that would be torch.
    command = [sys.executable, "-m", "benchmarks.drawing"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    speeds = {row["workers"]: row["images_per_s"] for row in map(json.loads, told) if "workers" in row}
    yield "| processes | images/s |\n|---|---|"
    yield from (f"| {workers} | {speed:.0f} |" for workers, speed in speeds.items())
    yield f"\nTwo processes against one: {speeds[2] / speeds[1]:.2f}x. Asked: at least 100 images/s on two cores."


def indexing_section(asked: Asked) -> Iterator[str]:
    """Speed of `vitreid index` against the bare runtime."""
    yield "Same bundle, images, batches of 32 and threads; medians of alternating rounds. Asked: at least 0.85.\n"
    yield "| bundle | images | runtime images/s | `vitreid index` images/s | ratio |\n|---|---|---|---|---|"
    bundles = {
        "ViT-S 256x128, random weights": (asked.vit_s, "query"),
        "starter": (Bundle.open(starter_path()), "."),
    }
    for name, (bundle, part) in bundles.items():
        result = indexing.measure(Embedder(bundle), asked.people / part, rounds=asked.rounds, batch_size=32)
        raw, index = (statistics.median(result[side]) for side in ("raw", "index"))
        yield f"| {name} | {result['images']} | {raw:.0f} | {index:.0f} | {result['ratio']:.2f} |"


def scores_section(asked: Asked) -> Iterator[str]:
    """Scores through the running service against the evaluation."""
    result = served_scores.compare(starter_path(), asked.people)
    yield "60 drawn people by 6 cameras that the starter has not seen; every query sent to `POST /v1/query`.\n"
    yield "| | mAP | rank-1 |\n|---|---|---|"
    yield f"| `vitreid evaluate` | {result['evaluated']['mAP']:.4f} | {result['evaluated']['rank1']:.4f} |"
    yield f"| service | {result['served']['mAP']:.4f} | {result['served']['rank1']:.4f} |"
    yield f"\nDifference of mAP: {result['mAP_difference']:.1e}. Asked: at most 1e-3."


def training_section(asked: Asked) -> Iterator[str]:
    """What TransReID's parts and the losses on patches add to a training step."""
    yield "16 images in bfloat16, forward, losses, backward, optimiser; the sides take turns.\n"
    yield from training.lines(training.measure(rounds=asked.rounds))


def scoring_section(asked: Asked) -> Iterator[str]:
    """Time and memory of scoring at MSMT17's size."""
    yield from scoring.table(scoring.Size())


def reranking_section(asked: Asked) -> Iterator[str]:
    """Sparse re-ranking against the dense published form, both at Market-1501's size."""
    yield "k-reciprocal re-ranking of made embeddings, each run in a process of its own.\n"
    yield "| queries + gallery | faster than dense | memory of dense | difference of mAP |\n|---|---|---|---|"
    for queries, size in ((1000, 5000), reranking.MARKET):
        found = reranking.compare(queries, size, 1)
        yield (
            f"| {queries:,} + {size:,} | {found['times_faster']:.1f}x | {found['share_of_memory']:.0%} "
            f"| {found['mAP_difference']:.1e} |"
        )
    largest = reranking.measured("sparse", *reranking.MSMT17)
    yield (
        f"\nAt MSMT17's size ({reranking.MSMT17[0]:,} + {reranking.MSMT17[1]:,}) ours took {largest['seconds']:.0f} s "
        f"and {largest['peak_mib'] / 1024:.2f} GiB, {largest['before_mib'] / 1024:.2f} GiB of them before it began."
    )
    yield "\nAsked at Market-1501's size: at least 8x faster, under 1.5 GiB, the same mAP to 1e-3."
    yield "Asked at MSMT17's: under 8 GiB."


def patches_section(asked: Asked) -> Iterator[str]:
    """What re-ranking by patches costs."""
    bundle = explained_bundle(asked.folder / "explained")
    yield "The top 50 of drawn people, asked with a stored item; random weights look at nearly all patches.\n"
    yield from patches.cost_lines(patches.measure_cost(bundle, asked.people / "query", 4 * asked.rounds))


def gallery_section(asked: Asked) -> Iterator[str]:
    """What a gallery costs on top of its index and its disk."""
    yield from gallery.lines(gallery.measure())


def scale_section(asked: Asked) -> Iterator[str]:
    """Indexes from a thousand to a million embeddings."""
    yield "Embeddings like a model's: persons, cameras, look-alikes; 384 numbers each. Filtered: one camera of six.\n"
    for size, kinds in SCALE.items():
        rows = scale.table(scale.measure([size], kinds))
        yield from rows if size == next(iter(SCALE)) else list(rows)[2:]
    yield "\nAsked at a million with ivf: memory at most 0.6, recall at least 0.99 in under 10 ms, also filtered."


def million_section(asked: Asked) -> Iterator[str]:
    """A gallery of a million items."""
    yield from gallery.lines(gallery.measure(rows=1_000_000, searches=100, writes=200, index="ivf"))
    yield "\nAsked: opened from a snapshot in under 10 s."


def graphs_section(asked: Asked) -> Iterator[str]:
    """What makes graphs faster, and what precisions and runtimes add."""
    yield "Batches of 8 of the same images; all sides take turns, first with one core, then with two.\n"
    yield from graphs.lines(graphs.measure(asked.folder / "graphs", rounds=3 * asked.rounds, batch=8), batch=8)


def serving_section(asked: Asked) -> Iterator[str]:
    """What HTTP costs a query, and what many clients leave of the bare runtime's speed."""
    yield "A gallery of 2,000 items; both sides take turns.\n"
    yield from serving.lines(serving.measure(asked.vit_s, asked.people / "query", rounds=asked.rounds))


def cold_start_section(asked: Asked) -> Iterator[str]:
    """Time from the start of a service to its first answer."""
    able = {name: each for name, each in cold_start.SETTINGS.items() if each.get("precision") in (None, *precisions())}
    yield "A new process and an empty data folder each time, to a 200 of `/readyz`; the runtimes take turns.\n"
    yield from cold_start.lines(cold_start.measure(asked.vit_s.path, able, rounds=asked.rounds))


def soak_section(asked: Asked) -> Iterator[str]:
    """Whether a service stays the same under everything at once."""
    yield from soak.lines(soak.measure(starter_path(), minutes=asked.soak_minutes, clients=8))


def hostile_section(asked: Asked) -> Iterator[str]:
    """What attacks cost the service."""
    yield "A new service with default settings each time; clients on the same machine, for five seconds each.\n"
    yield from hostile.lines(hostile.measure(starter_path(), attacks.ATTACKS, seconds=5))


def demo_section(asked: Asked) -> Iterator[str]:
    """Time to the demo's first answer."""
    times, trained = demo.measure(), demo.measure(train=True)
    yield "| | first time | again |\n|---|---|---|"
    yield f"| starter bundle | {times['first_s']:.1f} s | {times['again_s']:.1f} s |"
    yield f"| `--train` | {trained['first_s']:.0f} s | {trained['again_s']:.0f} s |"
    yield "\nAsked: again under 10 s; `--train` under 6 minutes."


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
"""Which indexes are measured at which size."""

SECTIONS: dict[str, tuple[str, Callable[[Asked], Iterator[str]]]] = {
    "drawing": ("Drawing people (256x128)", drawing_section),
    "graphs": ("Exported graphs (ViT-S 256x128, random weights)", graphs_section),
    "indexing": ("Indexing against the bare runtime", indexing_section),
    "serving": ("Serving against the bare runtime (ViT-S 256x128, random weights)", serving_section),
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
    "demo": ("`vitreid demo --no-serve`, installed already", demo_section),
}


if __name__ == "__main__":
    main()
