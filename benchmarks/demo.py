"""Time of `vitreid demo` to its first answer, for the first and the second run.

This does not include the installation. With --train the model is trained first, as by `vitreid demo --train`.

    python -m benchmarks.demo [--train]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    print(json.dumps(measure(train=parser.parse_args().train)))


def measure(*, train: bool = False) -> dict[str, float]:
    """Return the seconds of the whole command, including the start of the process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vitreid", "demo", "--no-serve", "--port", "0", "--data", f"{folder}/demo"]
        if train:
            command.append("--train")
        return {"first_s": _seconds(command), "again_s": _seconds(command)}


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
