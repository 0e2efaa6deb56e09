"""How much faster than onnxruntime does OpenVINO run a bundle, in fp32 and in bf16?

Both sides see the same prepared pictures; each is measured with one and with all cores, and with single pictures and
batches, in turns. What counts is the best of each side.

    python -m benchmarks.runtimes --bundle BUNDLE [--rounds 5]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from bundle import Bundle, BundleRunner, OpenVinoRunner
from bundle.cores import cores
from bundle.run_openvino import precisions
from service.commands.bench_actions import made_up_pictures

GOAL = 1.8
BATCHES = (1, 8)
SECONDS = 1.0

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Speeds = dict[str, dict[tuple[int, int], list[float]]]
"""Pictures a second of each side in each round, by cores and batch."""


def main(
    bundle: Annotated[Path, typer.Option(help="bundle to run")], rounds: Annotated[int, typer.Option(min=1)] = 5
) -> None:
    print(*lines(measure(Bundle.open(bundle), rounds=rounds)), sep="\n")


def measure(bundle: Bundle, *, rounds: int, seconds: float = SECONDS) -> Speeds:
    """Speeds of onnxruntime, and of OpenVINO in what this processor computes in."""
    pictures = made_up_pictures(bundle, max(BATCHES))
    runs = dict(sides(bundle))
    speeds: Speeds = {name: {} for name, _ in runs}
    for _ in range(rounds):
        for (name, threads), run in runs.items():
            for batch in BATCHES:
                speeds[name].setdefault((threads, batch), []).append(images_per_s(run, pictures[:batch], seconds))
    return speeds


def sides(bundle: Bundle) -> Iterator[tuple[tuple[str, int], Run]]:
    """What is compared, with the cores of its runs."""
    for threads in sorted({1, cores()}):
        yield ("onnxruntime", threads), BundleRunner(bundle, threads=threads).run
        for precision in precisions():
            runner = OpenVinoRunner(bundle, threads=threads, precision=precision, batches=BATCHES)
            yield (f"OpenVINO {precision}", threads), runner.run


def images_per_s(run: Run, pictures: NDArray[np.uint8], seconds: float) -> float:
    """Pictures a second, for so many seconds after one run to warm up."""
    run(pictures)
    done, begin = 0, time.perf_counter()
    while not done or time.perf_counter() - begin < seconds:
        run(pictures)
        done += len(pictures)
    return done / (time.perf_counter() - begin)


def lines(speeds: Speeds) -> Iterator[str]:
    """The best setting of each side as a Markdown table, with its ratio to onnxruntime's."""
    medians = {name: {key: statistics.median(each) for key, each in of.items()} for name, of in speeds.items()}
    reference = max(medians["onnxruntime"].values())
    yield "| runtime | images/s | cores | batch | ratio |\n|---|---|---|---|---|"
    for name, of in medians.items():
        (threads, batch), best = max(of.items(), key=lambda each: each[1])
        yield f"| {name} | {best:.1f} | {threads} | {batch} | {best / reference:.2f} |"
    yield f"\nAsked: bf16 at least {GOAL} where the processor computes in it."


if __name__ == "__main__":
    typer.run(main)
