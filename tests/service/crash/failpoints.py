"""Failpoints, at which a process may end: around every call that makes something durable, gives it a name or takes it
away, and before every statement of a database. Additions to the program have theirs without more work."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMING = ("fsync", "rename", "replace", "link")
"""Calls with a failpoint before and one after; one after the others is the same as one before what follows."""
CALLS = (*NAMING, "mkdir", "unlink", "rmdir")

OnFailpoint = Callable[[str], None]


def watch(on_failpoint: OnFailpoint, *, every_statement: bool = False) -> None:
    """Tell every failpoint of this process from now on, before it comes; `on_failpoint` may end the process.

    Of statements these are the ends of writing transactions and what is none; what comes within a transaction ends
    as it does before its COMMIT.
    """
    for name in CALLS:
        setattr(os, name, _watched(name, getattr(os, name), on_failpoint))
    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        writing = False

        def trace(text: str) -> None:
            nonlocal writing
            if text.startswith("BEGIN"):
                writing = text.startswith("BEGIN IMMEDIATE")
            if every_statement or (text == "COMMIT" and writing) or text.startswith(("VACUUM", "PRAGMA wal_check")):
                on_failpoint(f"before {text[:40]}")

        connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]  # one signature for all of its overloads


def end_at(number: int) -> OnFailpoint:
    """Ends the process as `kill -9` does, at the failpoint of this number, the first being 0."""
    left = number

    def on_failpoint(_: str) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    return on_failpoint


def _watched(name: str, call: Callable[..., Any], on_failpoint: OnFailpoint) -> Callable[..., Any]:
    def watched_call(*arguments: Any, **options: Any) -> Any:
        what = f"{name} {_shown(arguments[0])}"
        on_failpoint(f"before {what}")
        done = call(*arguments, **options)
        if name in NAMING:
            on_failpoint(f"after {what}")
        return done

    return watched_call


def _shown(place: object) -> str:
    """Name of a file or folder; of a descriptor, of what it is open on."""
    return Path(os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else str(place)).name
