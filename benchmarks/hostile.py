"""Memory of the service, and answers of /healthz, under attack.

Each attack goes to a new `vitreid serve` with default settings on 127.0.0.1: once without keys, once with a key of
scope `write`. Clients and service share the machine, so waits are upper bounds.

    python -m benchmarks.hostile [ATTACK ...] [--seconds 5]
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.attacks import ATTACKS, FORM, Target, form, image
from benchmarks.memory import peak_mib
from benchmarks.running import Running, serving
from vitreid.service.access.access import open_records
from vitreid.service.models.bundle_choice import starter_path

GOAL_MIB, GOAL_S = 1536, 1.0
PROBE_EVERY_S = 0.02
TIMEOUT_S = 60


@dataclass(frozen=True)
class Measured:
    """The effect of an attack on the service."""

    attack: str
    keys: bool
    peak_mib: float
    healthz_s: float
    """The longest wait for /healthz during the attack."""
    info_s: float
    """The longest wait of an administrator for /v1/info."""

    @property
    def held(self) -> bool:
        """True if memory and /healthz stayed within the goals."""
        return self.peak_mib < GOAL_MIB and self.healthz_s < GOAL_S


def main(
    attacks: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(ATTACKS)}; all by default")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=60)] = 5.0,
) -> None:
    for measured in measure(starter_path(), attacks or ATTACKS, seconds=seconds):
        print(json.dumps(asdict(measured)), flush=True)


def measure(bundle: Path, attacks: Iterable[str], *, seconds: float, **settings: Any) -> Iterator[Measured]:
    """Yield the effect of every attack, without and with keys."""
    for name in attacks:
        for keys in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                write, admin = _keys(Path(folder)) if keys else (None, None)
                with serving(Path(folder), bundle, **settings) as service:
                    _await_ready(service)
                    _fill(Target(service.host, service.port, seconds, write))
                    target = Target(service.host, service.port, seconds, write)
                    waits, peak = _attacked(service, name, target, admin)
            yield Measured(name, keys, round(peak), round(waits["/healthz"], 3), round(waits["/v1/info"], 3))


def lines(found: Iterable[Measured]) -> Iterator[str]:
    """Yield the result as a Markdown table."""
    yield "| attack | keys | peak memory | longest wait for /healthz | for /v1/info | within goals |"
    yield "|---|---|---|---|---|---|"
    for each in found:
        yield (
            f"| {each.attack} | {'yes' if each.keys else 'no'} | {each.peak_mib:.0f} MiB | {each.healthz_s:.2f} s "
            f"| {each.info_s:.2f} s | {'yes' if each.held else 'NO'} |"
        )
    yield f"\nGoals: under {GOAL_MIB} MiB, and /healthz within {GOAL_S:g} s."


def _keys(data: Path) -> tuple[str, str]:
    with open_records(data, audit_days=1, create=True) as (keys, _):
        return keys.create("attacker", ["write"])[1], keys.create("admin", ["admin"])[1]


def _await_ready(service: Running) -> None:
    until = time.monotonic() + TIMEOUT_S
    while _wait_of(service, "/readyz", None)[1] != 200:
        if time.monotonic() > until:
            raise SystemExit("the service does not become ready")
        time.sleep(0.05)


def _fill(target: Target) -> None:
    files = [("images", image("PNG", 32 + number, 64)) for number in range(60)]
    for _ in range(2):
        target.send("POST", "/v1/items", form(*files), FORM)


def _attacked(service: Running, name: str, target: Target, admin: str | None) -> tuple[dict[str, float], float]:
    waits = {"/healthz": 0.0, "/v1/info": 0.0}
    until = time.monotonic() + target.seconds + TIMEOUT_S
    with _attacker(name, target) as attacker:
        while attacker.is_alive() and time.monotonic() < until:
            for path in waits:
                waits[path] = max(waits[path], _wait_of(service, path, admin)[0])
            time.sleep(PROBE_EVERY_S)
    return waits, peak_mib(service.pid)


@contextmanager
def _attacker(name: str, target: Target) -> Iterator[BaseProcess]:
    # In another process: threads in this one would delay the probe.
    process = multiprocessing.get_context("spawn").Process(target=ATTACKS[name], args=(target,), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


def _wait_of(service: Running, path: str, key: str | None) -> tuple[float, int]:
    """Return the seconds until an answer over a new connection, and its status; 0 if there was none."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(service.host, service.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={} if key is None else {"X-API-Key": key})
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    if status not in (200, 503):  # refused or disconnected: as bad as no answer
        return float(TIMEOUT_S), status
    return time.perf_counter() - begin, status


if __name__ == "__main__":
    typer.run(main)
