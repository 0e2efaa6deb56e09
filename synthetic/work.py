"""Sharing the drawing of identities out over processes."""

import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from vitreid.synthetic.errors import DrawingStopped

SMALL = 150
"""Fewer images than this are drawn faster than processes start."""


def share_out(
    draw: Callable[[int], int], identities: range, *, images: int, workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    """Call `draw` for every identity, which returns how many images it drew, and report those done of `images`.

    Processes are spawned, not forked: a fork of a program with threads (as torch and onnxruntime make) can hang.
    """
    count = min(workers or cores(), len(identities), -(-images // SMALL))
    if count <= 1:
        report(map(draw, identities), images, progress)
        return
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=leave_interrupts_to_the_parent)
    try:
        report(pool.map(draw, identities), images, progress)
    except BrokenProcessPool as error:
        raise DrawingStopped(
            "a drawing process ended early (out of memory, or a script without an `if __name__ == '__main__'` guard): "
            "use workers=1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def report(done: Iterable[int], total: int, progress: Callable[[int, int], None] | None) -> None:
    """Go through the finished tasks and tell how many images there are."""
    images = 0
    for count in done:
        images += count
        if progress is not None:
            progress(images, total)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches the whole group of processes; only the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
