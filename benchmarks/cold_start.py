"""Time from the start of `vitreid serve` to the first 200 of /readyz.

Each round has a new process and an empty data folder; the files of Python and of the model are in the disk cache.

    python -m benchmarks.cold_start --bundle BUNDLE [--rounds 5]
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.running import serving

GOAL_S = 3.0
SETTINGS = {
    "onnx": {"runtime": "onnx"},
    "openvino, fp32": {"runtime": "openvino", "precision": "fp32"},
    "openvino, bf16": {"runtime": "openvino", "precision": "bf16"},
}


def main(
    bundle: Annotated[Path, typer.Option(help="bundle to serve")],
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    print(json.dumps(measure(bundle, SETTINGS, rounds=rounds)))


def measure(bundle: Path, settings: dict[str, dict[str, str]], *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds until ready with each of the settings, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, values in settings.items():
            seconds[name].append(ready_s(bundle, values))
    return seconds


def ready_s(bundle: Path, settings: dict[str, str]) -> float:
    """Return the seconds from the start of the process to its first 200 of /readyz."""
    with tempfile.TemporaryDirectory() as data:
        begin = time.perf_counter()
        with serving(Path(data), bundle, **settings) as service:
            connection = http.client.HTTPConnection(service.host, service.port, timeout=30)
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
            elapsed = time.perf_counter() - begin
            connection.close()
    if status != 200:
        raise SystemExit(f"the service started, but /readyz answers {status}")
    return elapsed


def lines(seconds: dict[str, list[float]]) -> list[str]:
    """Return the result as a Markdown table."""
    rows = [
        f"| {name} | {statistics.median(each):.2f} s | {min(each):.2f} s | {max(each):.2f} s |"
        for name, each in seconds.items()
    ]
    goal = f"\nGoal: under {GOAL_S:g} s."
    return ["| runtime | median | fastest | slowest |\n|---|---|---|---|", *rows, goal]


if __name__ == "__main__":
    typer.run(main)
