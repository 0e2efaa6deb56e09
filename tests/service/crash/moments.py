"""The moments at which a process may end: around every call that makes something durable, gives it a name or takes it
away, and before every statement of a database. Whatever is added to the program has its moments by itself."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("fsync", "mkdir", "rename", "replace", "link", "unlink", "rmdir")
TURNS = ("BEGIN", "COMMIT", "VACUUM", "PRAGMA wal_checkpoint")
"""Statements at which what others see may change; to end within a transaction is to end before its COMMIT."""

Hear = Callable[[str], None]


def watch(hear: Hear, *, every_statement: bool = False) -> None:
    """Tell every moment of this process from now on, before it comes; `hear` may end the process."""
    for name in CALLS:
        setattr(os, name, _told(name, getattr(os, name), hear))
    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(
            lambda text: hear(f"before {' '.join(text.split())[:60]}") if every_statement or _turns(text) else None
        )
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]


def end_at(number: int) -> Hear:
    """Ends the process as `kill -9` does, at the moment of this number, the first being 0."""
    left = number

    def hear(_: str) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    return hear


def _turns(statement: str) -> bool:
    return statement.lstrip().upper().startswith(tuple(map(str.upper, TURNS)))


def _told(name: str, call: Callable[..., Any], hear: Hear) -> Callable[..., Any]:
    def told(*arguments: Any, **options: Any) -> Any:
        what = f"{name} {_shown(arguments[0])}"
        hear(f"before {what}")
        done = call(*arguments, **options)
        hear(f"after {what}")
        return done

    return told


def _shown(place: object) -> str:
    """Name of a file or folder; of a descriptor, of what it is open on."""
    return Path(os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else str(place)).name
