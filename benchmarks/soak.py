"""Memory and errors of a service under minutes of mixed load.

Clients query, add, update, delete and erase items and send invalid images, in a gallery that stays about the same size.
The memory of the service is read every ten seconds. Goals: after the warm-up it grows by at most 5 %, and no answer is
a 5xx other than a deliberate 503 or 504.

    python -m benchmarks.soak [--minutes 10] [--bundle BUNDLE] [--clients 8] [--json]
"""

from __future__ import annotations

import http.client
import io
import json
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from benchmarks.running import Running, serving
from vitreid.service.models.bundle_choice import starter_path

GOAL = 0.05
SIZE = 1000
"""Items in the gallery at the beginning, and about as many at the end."""
READ_EVERY_S = 10.0
DELIBERATE = frozenset({"503", "504"})
CAMERAS = ("gate", "hall", "yard")


def main(
    minutes: Annotated[float, typer.Option(min=0.1)] = 10,
    bundle: Annotated[Path | None, typer.Option(help="bundle to embed with; the starter by default")] = None,
    clients: Annotated[int, typer.Option(min=1)] = 8,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    result = measure(bundle or starter_path(), minutes=minutes, clients=clients)
    if as_json:
        print(json.dumps(result))
        return
    print("\n".join(lines(result)))


def measure(bundle: Path, *, minutes: float, clients: int) -> dict[str, Any]:
    """Return the counts of answers, and the memory of the service over time."""
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch), bundle, purge_after_s=20) as service:
        soak = Soak(service)
        soak.fill()
        threads = [threading.Thread(target=soak.client, args=(seed,)) for seed in range(clients)]
        for thread in threads:
            thread.start()
        rss = []
        end = time.monotonic() + 60 * minutes
        while (left := end - time.monotonic()) > 0:
            rss.append(rss_mib(service.pid))
            time.sleep(min(READ_EVERY_S, left))
        soak.stop.set()
        for thread in threads:
            thread.join()
        rss.append(rss_mib(service.pid))
    settled = rss[max(1, len(rss) // 5) :]  # by then caches and pools have reached their final size
    unexpected = {
        what: n
        for what, n in soak.answers.items()
        if (status := what.split()[-1]) >= "500" and status not in DELIBERATE
    }
    return {
        "minutes": minutes,
        "clients": clients,
        "answers": dict(sorted(soak.answers.items())),
        "unexpected": unexpected,
        "items": [SIZE, len(soak.ids)],
        "rss_mib": rss,
        "rss_growth": max(settled) / statistics.median(settled[: max(1, len(settled) // 5)]) - 1,
        "rss_mib_per_minute": float(np.polyfit(np.arange(len(settled)), settled, 1)[0]) * 60 / READ_EVERY_S
        if len(settled) > 1
        else 0.0,
        "goal": GOAL,
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the result as Markdown."""
    total = sum(result["answers"].values())
    rss = result["rss_mib"]
    return [
        f"{result['minutes']:g} minutes, {result['clients']} clients, {total:,} answers, "
        f"{result['items'][0]:,} items at the beginning and {result['items'][1]:,} at the end.",
        "",
        "| answers | |",
        "|---|---|",
        *(f"| {what} | {n:,} |" for what, n in result["answers"].items()),
        "",
        f"Unexpected 5xx: {sum(result['unexpected'].values())} (goal: none). "
        f"Memory {rss[0]:.0f} MiB at the beginning, {rss[-1]:.0f} MiB at the end; "
        f"growth after the warm-up at most {result['rss_growth']:.1%} (goal: {GOAL:.0%}), "
        f"{result['rss_mib_per_minute']:+.2f} MiB per minute.",
    ]


class Soak:
    """Clients that share the ids of the gallery's items."""

    def __init__(self, service: Running) -> None:
        self.stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self.ids: list[int] = []
        self._service = service
        self._lock = threading.Lock()
        self._actions: tuple[tuple[float, Callable[[Client], None]], ...] = (
            (0.60, self._query),
            (0.15, self._add),
            (0.08, self._update),
            (0.06, self._delete),
            (0.03, self._erase),
            (0.06, self._bad),
            (0.02, self._read),
        )

    def fill(self) -> None:
        """Add the first items."""
        client = Client(self._service, seed=-1)
        while len(self.ids) < SIZE:
            self._add(client, images=32)
        self.answers.clear()

    def client(self, seed: int) -> None:
        """Send random requests until `stop` is set."""
        client = Client(self._service, seed)
        weights, actions = zip(*self._actions, strict=True)
        while not self.stop.is_set():
            [action] = client.random.choices(actions, weights)
            if action == self._add and len(self.ids) > SIZE:
                action = self._delete
            action(client)

    def _count(self, what: str, status: int) -> None:
        with self._lock:
            self.answers[f"{what} {status}"] += 1

    def _some(self, client: Client, n: int = 1, *, take: bool = False) -> list[int]:
        with self._lock:
            chosen = client.random.sample(self.ids, min(n, len(self.ids)))
            if take:
                gone = set(chosen)
                self.ids = [item_id for item_id in self.ids if item_id not in gone]
        return chosen

    def _query(self, client: Client) -> None:
        camera = client.random.choice(CAMERAS)
        path = client.random.choice(
            [f"/v1/query?camera_id={camera}", f"/v1/query?cameras={camera}&k=20", "/v1/query?group_by=person"]
        )
        status, _ = client.ask("POST", path, client.image(), "image/jpeg")
        self._count("query", status)

    def _add(self, client: Client, images: int = 2) -> None:
        metadata = {"camera_id": client.random.choice(CAMERAS), "person_id": str(client.random.randrange(200))}
        status, answer = client.add([client.image() for _ in range(images)], metadata)
        self._count("add", status)
        if status in {200, 207}:
            with self._lock:
                self.ids += [result["id"] for result in answer["results"] if result["status"] == "added"]

    def _update(self, client: Client) -> None:
        for item_id in self._some(client):
            body = json.dumps({"person_id": str(client.random.randrange(200))}).encode()
            status, _ = client.ask("PATCH", f"/v1/items/{item_id}", body, "application/json")
            self._count("update", status)

    def _delete(self, client: Client) -> None:
        for item_id in self._some(client, take=True):
            status, _ = client.ask("DELETE", f"/v1/items/{item_id}")
            self._count("delete", status)

    def _erase(self, client: Client) -> None:
        if ids := self._some(client, 3, take=True):
            body = json.dumps({"item_ids": ids, "reason": "soak"}).encode()
            status, _ = client.ask("POST", "/v1/erasures", body, "application/json")
            self._count("erase", status)

    def _bad(self, client: Client) -> None:
        image = client.image()
        cut = client.random.randrange(len(image))
        status, _ = client.ask("POST", "/v1/query", image[: cut // 2], "image/jpeg")
        self._count("bad image", status)

    def _read(self, client: Client) -> None:
        path = client.random.choice(["/v1/items?limit=50", "/v1/info", "/metrics", "/readyz", "/v1/galleries"])
        status, _ = client.ask("GET", path)
        self._count("read", status)


class Client:
    """A client with a persistent connection and random images of its own."""

    def __init__(self, service: Running, seed: int) -> None:
        self.random = random.Random(seed)
        self._noise = np.random.default_rng(seed + 1)
        self._connection = http.client.HTTPConnection(service.host, service.port, timeout=60)

    def image(self) -> bytes:
        """Return a JPEG of random cells."""
        cells = self._noise.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(cells).resize((64, 128), Image.Resampling.BICUBIC).save(out, "JPEG")
        return out.getvalue()

    def ask(self, method: str, path: str, body: bytes = b"", kind: str | None = None) -> tuple[int, Any]:
        """Send a request and return status and body of the answer."""
        self._connection.request(method, path, body, {} if kind is None else {"Content-Type": kind})
        answer = self._connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content[:1] == b"{" else None

    def add(self, images: list[bytes], metadata: dict[str, str]) -> tuple[int, Any]:
        """Send images as a form."""
        parts = [
            b'--part\r\nContent-Disposition: form-data; name="images"; filename="%d.jpg"\r\n\r\n%s\r\n' % each
            for each in enumerate(images)
        ]
        content = json.dumps(metadata).encode()
        parts.append(b'--part\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n%s\r\n--part--\r\n' % content)
        return self.ask("POST", "/v1/items", b"".join(parts), "multipart/form-data; boundary=part")


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} has ended")


if __name__ == "__main__":
    typer.run(main)
