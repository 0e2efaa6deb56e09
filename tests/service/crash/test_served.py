"""A real service under load, killed and stopped: every answer that a client got still holds after the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from tests.paths import REPOSITORY

CLIENTS = 4
ANSWERS = 40  # of all clients together, before the service ends
WAIT_S = 60
DONE = {"add": {200}, "update": {200}, "delete": {204}, "erase": {202}}
REPEATED = {"add": {200}, "update": {200}, "delete": {204, 404}, "erase": {202, 404}}
"""What a request may answer that is sent again because nobody knows what became of it."""


class Enough:
    """Counts answers, and says when there are enough of them."""

    def __init__(self, answers: int) -> None:
        self.reached = threading.Event()
        self._left = answers
        self._lock = threading.Lock()

    def one(self) -> None:
        """One more."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self.reached.set()


@dataclass
class Client:
    """Adds, labels, deletes and erases items of its own, and remembers the answers."""

    number: int
    make_image: Callable[[int], bytes]
    labels: dict[int, str] = field(default_factory=dict)
    """Of the items that must be there, by id."""
    gone: set[int] = field(default_factory=set)
    receipts: set[str] = field(default_factory=set)
    doubt: tuple[str, dict[str, Any]] | None = None
    """What was asked and not answered."""
    sent: int = 0

    def work(self, address: str, answered: Enough) -> None:
        """Ask one thing after the other until there is no answer any more."""
        random = Random(f"{self.number} {self.sent}")
        with connected(address) as http:
            while True:
                self.doubt = self._choose(random)
                try:
                    answer = self._ask(http, *self.doubt)
                except httpx2.TransportError:
                    return
                if answer.status_code == 503:  # it stops
                    assert answer.json()["type"] == "/problems/not-ready"
                    return
                self._settle(answer, DONE)
                answered.one()

    def settle(self, address: str) -> None:
        """Ask again what had no answer; then everything is as it was answered."""
        with connected(address) as http:
            if self.doubt is not None:
                self._settle(self._ask(http, *self.doubt), REPEATED)
            for item_id, label in self.labels.items():
                item = http.get(f"/v1/items/{item_id}").json()
                assert (item["person_id"], item["metadata"]["client"]) == (label, self.number)
                assert http.get(item["image_url"]).status_code == 200
            found = http.post(f"/v1/query/{max(self.labels)}", params={"k": 1000}).json() if self.labels else {}
            assert not {match["id"] for match in found.get("matches", [])} & self.gone
            for item_id in self.gone:
                assert http.get(f"/v1/items/{item_id}").status_code == 404
            for receipt in self.receipts:
                assert http.get(f"/v1/erasures/{receipt}").status_code == 200

    def _choose(self, random: Random) -> tuple[str, dict[str, Any]]:
        kind = random.choice(["add", "add", "update", "delete", "erase"]) if len(self.labels) > 3 else "add"
        if kind == "add":
            numbers = [self.number * 100_000 + self.sent + place for place in range(random.randint(1, 3))]
            self.sent += len(numbers)
            return kind, {"numbers": numbers, "label": str(random.randint(0, 9))}
        ids = random.sample(sorted(self.labels), 2 if kind == "erase" else 1)
        return kind, {"ids": ids, "label": str(random.randint(10, 19))}

    def _ask(self, http: httpx2.Client, kind: str, what: dict[str, Any]) -> httpx2.Response:
        if kind == "add":
            labels = {"person_id": what["label"], "metadata": {"client": self.number}}
            files = [("images", (f"{number}.jpg", self.make_image(number))) for number in what["numbers"]]
            return http.post("/v1/items", files=files, data={"metadata": json.dumps(labels)})
        address = f"/v1/items/{what['ids'][0]}"
        if kind == "update":
            return http.patch(address, json={"person_id": what["label"]})
        if kind == "delete":
            return http.delete(address)
        return http.post("/v1/erasures", json={"item_ids": what["ids"]})

    def _settle(self, answer: httpx2.Response, allowed: dict[str, set[int]]) -> None:
        assert self.doubt is not None
        kind, what = self.doubt
        assert answer.status_code in allowed[kind], answer.text
        if kind == "add":
            ids = [result["id"] for result in answer.json()["results"]]
            assert not self.gone & set(ids)
            self.labels |= dict.fromkeys(ids, what["label"])
        elif kind == "update":
            self.labels[what["ids"][0]] = what["label"]
        else:
            for item_id in what["ids"]:
                self.labels.pop(item_id)
                self.gone.add(item_id)
        if answer.status_code == 202:
            self.receipts.add(answer.json()["id"])
        self.doubt = None


def connected(address: str) -> httpx2.Client:
    """A client of the service at this address."""
    return httpx2.Client(base_url=address, trust_env=False, timeout=WAIT_S)


@contextmanager
def serving(data: Path, bundle: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its address."""
    command = [sys.executable, "-m", "vitreid", "serve", "--data", str(data), "--bundle", str(bundle), "--port", "0"]
    environment = {**os.environ, "VITREID_RUNTIME": "fake", "VITREID_PURGE_AFTER_S": "0", "VITREID_LOG_LEVEL": "info"}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = map(json.loads, process.stderr)
        try:
            address = next(line["address"] for line in lines if "address" in line)
            reading = threading.Thread(target=lambda: [None for _ in lines])
            reading.start()
            yield process, address
        finally:
            process.kill()
            reading.join()


@pytest.mark.parametrize("seed", [0])
def test_every_answer_holds_after_the_next_start(
    seed: int, tmp_path: Path, tiny_bundle: Path, make_image: Callable[[int], bytes]
) -> None:
    clients = [Client(seed + number, make_image) for number in range(CLIENTS)]
    for ending in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, None):
        with ThreadPoolExecutor(CLIENTS) as pool, serving(tmp_path, tiny_bundle) as (process, address):
            list(pool.map(lambda client, address=address: client.settle(address), clients))
            if ending is None:
                break
            answered = Enough(ANSWERS)
            working = [pool.submit(client.work, address, answered) for client in clients]
            assert answered.reached.wait(WAIT_S)
            process.send_signal(ending)
            for each in working:
                each.result()
            assert process.wait(WAIT_S) == (0 if ending == signal.SIGTERM else -ending)
    ids = [item_id for client in clients for item_id in (*client.labels, *client.gone)]
    assert len(ids) == len(set(ids)) > ANSWERS
    assert all(client.gone and client.receipts for client in clients)
