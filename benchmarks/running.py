"""`vitreid serve` in a separate process, for benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

READY_S = 120


@dataclass(frozen=True)
class Running:
    """A running service."""

    host: str
    port: int
    pid: int

    @property
    def address(self) -> str:
        """Its URL, without a slash at the end."""
        return f"http://{self.host}:{self.port}"


@contextmanager
def serving(data: Path, bundle: Path, **settings: Any) -> Iterator[Running]:
    """Serve on a free port until the block ends; `settings` as in ServiceConfig."""
    command = [sys.executable, "-m", "vitreid", "serve", "--data", str(data), "--bundle", str(bundle), "--port", "0"]
    environment = {**os.environ, **{f"VITREID_{name.upper()}": str(value) for name, value in settings.items()}}
    # The log goes to a file: a full pipe that nobody reads would block the service.
    with tempfile.NamedTemporaryFile("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            found = urlsplit(_address(server, Path(log.name)))
            yield Running(str(found.hostname), int(found.port or 0), server.pid)
        finally:
            server.terminate()
            server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        for line in log.read_text().splitlines():
            if '"address"' in line:
                return str(json.loads(line)["address"])
        time.sleep(0.02)
    raise SystemExit("the service did not start:\n" + log.read_text())
