"""Drawing of identities in parallel processes."""

import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from vitreid.synthetic.errors import DrawingStopped

SMALL = 150
"""Images per process: fewer are drawn in less time than a process takes to start."""


def run_in_processes(
    draw: Callable[[int], int], identities: range, *, images: int, workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    """Call `draw`, which returns its number of images, for every identity, and report the progress of `images`.

    Processes are spawned, not forked: a fork of a program with threads (torch and onnxruntime start some) can hang.
    """
    count = min(workers or cores(), len(identities), -(-images // SMALL))
    if count <= 1:
        report(map(draw, identities), images, progress)
        return
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=ignore_interrupts)
    try:
        report(pool.map(draw, identities), images, progress)
    except BrokenProcessPool as error:
        raise DrawingStopped(
            "a drawing process ended early (out of memory, or a script without an `if __name__ == '__main__'` guard); "
            "use workers=1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def report(done: Iterable[int], total: int, progress: Callable[[int, int], None] | None) -> None:
    """Call `progress` with the number of images after each finished task."""
    images = 0
    for count in done:
        images += count
        if progress is not None:
            progress(images, total)


def cores() -> int:
    """Return the number of cores that this process may use, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ignore_interrupts() -> None:
    """Ignore Ctrl-C, which reaches the whole process group; the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
