"""Clients of a service in a separate process with little overhead, one persistent connection each.

    python -m benchmarks.load_client HOST PORT PATH FOLDER --clients 16 --seconds 10

Each client sends the images of a folder as raw bodies, one after the other. Prints the latencies as JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path


def main() -> None:
    """Print the rate, statuses and latencies of the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("images", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=2)
    options = parser.parse_args()
    images = [path.read_bytes() for path in sorted(options.images.glob("*.jpg"))]
    begin = time.perf_counter() + options.warm_up
    end = begin + options.seconds
    answers: list[tuple[float, float, int]] = []

    def client(first: int) -> None:
        connection = http.client.HTTPConnection(options.host, options.port, timeout=60)
        for turn in range(10**9):
            sent = time.perf_counter()
            if sent >= end:
                return
            content = images[(first + turn) % len(images)]
            connection.request("POST", options.path, content, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            answers.append((sent, time.perf_counter(), answer.status))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [(sent, got, status) for sent, got, status in answers if begin <= got < end]
    print(
        json.dumps(
            {
                "per_s": len(counted) / options.seconds,
                "ms": [1000 * (got - sent) for sent, got, _ in counted],
                "statuses": Counter(str(status) for *_, status in counted),
            }
        )
    )


if __name__ == "__main__":
    main()
