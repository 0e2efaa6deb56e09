"""Ask every benchmark its question and write the answers to RESULTS.md.

    python -m benchmarks.run [--rounds N] [--soak MINUTES]

Machines differ and are shared: compare ratios within a run, not seconds between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from benchmarks import demo, indexing, scoring, served_scores, serving, soak
from benchmarks.models import random_bundle
from bundle import Bundle
from service.embedder import Embedder
from service.starter import starter_path
from synthetic import draw_dataset

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--soak", type=float, default=10, help="minutes of everything at once")
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people"
        draw_dataset(people, identities=60, cameras=6, images=2, seed=3)
        sections = (
            machine(),
            drawing_section(),
            indexing_section(Path(folder), people, rounds),
            scores_section(people),
            scoring_section(),
            serving_section(Path(folder), people, rounds),
            soak_section(options.soak),
            demo_section(),
        )
        lines = []
        for line in chain.from_iterable(sections):
            print(line, flush=True)
            lines.append(line)
    RESULTS.write_text("\n".join(lines) + "\n")


def machine() -> Iterator[str]:
    """What was measured, on what, and how busy it was."""
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    yield "# Results"
    yield ""
    yield "Written by `make bench`. The machine may be shared: read ratios, not seconds."
    yield ""
    yield f"- {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip() or 'unknown'}"
    yield f"- {_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    packages = ("numpy", "onnxruntime", "faiss-cpu", "torch", "timm")
    yield f"- Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages)


def drawing_section() -> Iterator[str]:
    """Speed of the synthetic people."""
    # In a process of its own: those that draw import again what their parent runs, and here that would be torch.
    command = [sys.executable, "-m", "benchmarks.drawing"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    speeds = {row["workers"]: row["images_per_s"] for row in map(json.loads, told) if "workers" in row}
    yield "\n## Drawing people (256x128)\n"
    yield "| processes | images/s |\n|---|---|"
    yield from (f"| {workers} | {speed:.0f} |" for workers, speed in speeds.items())
    yield f"\nTwo processes against one: {speeds[2] / speeds[1]:.2f}x. Asked: at least 100 images/s on two cores."


def indexing_section(folder: Path, people: Path, rounds: int) -> Iterator[str]:
    """Speed of `reid index` against the bare runtime."""
    yield "\n## Indexing against the bare runtime\n"
    yield "Same bundle, pictures, batches of 32 and threads; medians of alternating rounds. Asked: at least 0.85.\n"
    yield "| bundle | pictures | runtime images/s | `reid index` images/s | ratio |\n|---|---|---|---|---|"
    bundles = {
        "ViT-S 256x128, random weights": (random_bundle(folder / "vit_s"), "query"),
        "starter": (Bundle.open(starter_path()), "."),
    }
    for name, (bundle, part) in bundles.items():
        result = indexing.measure(Embedder(bundle), people / part, rounds=rounds, batch_size=32)
        raw, index = (statistics.median(result[side]) for side in ("raw", "index"))
        yield f"| {name} | {result['images']} | {raw:.0f} | {index:.0f} | {result['ratio']:.2f} |"


def scores_section(people: Path) -> Iterator[str]:
    """Scores through the running service against the evaluation."""
    result = served_scores.compare(starter_path(), people)
    yield "\n## Scores through the running service\n"
    yield "60 drawn people by 6 cameras that the starter has not seen; every query sent to `POST /v1/query`.\n"
    yield "| | mAP | rank-1 |\n|---|---|---|"
    yield f"| `reid evaluate` | {result['evaluated']['mAP']:.4f} | {result['evaluated']['rank1']:.4f} |"
    yield f"| service | {result['served']['mAP']:.4f} | {result['served']['rank1']:.4f} |"
    yield f"\nDifference of mAP: {result['mAP_difference']:.1e}. Asked: at most 1e-3."


def scoring_section() -> Iterator[str]:
    """Time and memory of scoring at MSMT17's size."""
    yield "\n## Scoring at MSMT17's size\n"
    yield from scoring.table(scoring.Size())


def serving_section(folder: Path, people: Path, rounds: int) -> Iterator[str]:
    """What HTTP costs a query, and what many clients leave of the bare runtime's speed."""
    yield "\n## Serving against the bare runtime (ViT-S 256x128, random weights)\n"
    yield "A gallery of 2,000 items; both sides take turns.\n"
    vit_s = folder / "vit_s" / "bundle"
    bundle = Bundle.open(vit_s) if vit_s.is_dir() else random_bundle(folder / "vit_s")
    yield from serving.lines(serving.measure(bundle, people / "query", rounds=rounds))


def soak_section(minutes: float) -> Iterator[str]:
    """Whether a service stays the same under everything at once."""
    yield "\n## Minutes of mixed load (starter bundle)\n"
    yield from soak.lines(soak.measure(starter_path(), minutes=minutes, clients=8))


def demo_section() -> Iterator[str]:
    """Time to the demo's first answer."""
    times, trained = demo.measure(), demo.measure(train=True)
    yield "\n## `reid demo --no-serve`, installed already\n"
    yield "| | first time | again |\n|---|---|---|"
    yield f"| starter bundle | {times['first_s']:.1f} s | {times['again_s']:.1f} s |"
    yield f"| `--train` | {trained['first_s']:.0f} s | {trained['again_s']:.0f} s |"
    yield "\nAsked: again under 10 s; `--train` under 6 minutes."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
