"""Speed of drawing people with one and with two processes.

Prints a JSON line for each, and their ratio; absolute numbers depend on the machine and its load.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from vitreid.synthetic import draw_dataset


def images_per_s(identities: int, workers: int) -> float:
    """Return the speed of drawing a data set of four cameras with two images each, including the process start."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        draw_dataset(Path(folder) / "set", identities=identities, cameras=4, images=2, seed=1, workers=workers)
        return identities * 8 / (time.perf_counter() - start)


def main() -> None:
    """Run with 1 and with 2 processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identities", type=int, default=100)
    identities = parser.parse_args().identities
    speeds = {workers: images_per_s(identities, workers) for workers in (1, 2)}
    for workers, speed in speeds.items():
        print(json.dumps({"workers": workers, "images": identities * 8, "images_per_s": round(speed, 1)}))
    print(json.dumps({"ratio_2_to_1": round(speeds[2] / speeds[1], 2)}))


if __name__ == "__main__":
    main()
