"""How long does `vitreid demo` take to its first answer: the first time, and again?

Installation is not part of it. With --train the model is made first, in the same way as `vitreid demo --train`.

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
    """Seconds of the whole command, process start included."""
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
