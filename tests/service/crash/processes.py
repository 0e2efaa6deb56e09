"""Processes that may be killed: copies of one that has loaded all that they need, so that each starts at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [f"tests.service.crash.{name}" for name in ("worker", "scenarios", "test_failpoints", "test_full_disk")]
)

OnMessage = Callable[[list[Any], BaseProcess], object]


def run(
    target: Callable[..., None], *arguments: Any, on_message: OnMessage = lambda messages, process: None
) -> tuple[list[Any], int | None]:
    """Run a function that gets a connection as its last argument; what it sent until it ended or was killed, and its
    exit code. `on_message` gets every message, and may kill the process."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=target, args=(*arguments, sender))
    process.start()
    sender.close()
    messages: list[Any] = []
    with receiver:
        while True:
            try:
                messages.append(receiver.recv())
            except EOFError:
                break
            on_message(messages, process)
    process.join()
    code = process.exitcode
    process.close()
    return messages, code
