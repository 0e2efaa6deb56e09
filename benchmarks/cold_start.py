"""How long does `vitreid serve` take from its start to an answer of /readyz?

The process is new each time and the data folder empty; the files of Python and of the model are in the disk's cache.

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
    """Seconds to ready with each of the settings; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, values in settings.items():
            seconds[name].append(ready_s(bundle, values))
    return seconds


def ready_s(bundle: Path, settings: dict[str, str]) -> float:
    """Seconds from the start of the process to the answer that it is ready."""
    with tempfile.TemporaryDirectory() as data:
        begin = time.perf_counter()
        with serving(Path(data), bundle, **settings) as service:
            connection = http.client.HTTPConnection(service.host, service.port, timeout=30)
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
            lasted = time.perf_counter() - begin
            connection.close()
    if status != 200:
        raise SystemExit(f"the service started, but /readyz answers {status}")
    return lasted


def lines(seconds: dict[str, list[float]]) -> list[str]:
    """The result as a Markdown table."""
    rows = [
        f"| {name} | {statistics.median(each):.2f} s | {min(each):.2f} s | {max(each):.2f} s |"
        for name, each in seconds.items()
    ]
    asked = f"\nAsked: under {GOAL_S:g} s."
    return ["| runtime | median | fastest | slowest |\n|---|---|---|---|", *rows, asked]


if __name__ == "__main__":
    typer.run(main)
