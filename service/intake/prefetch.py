"""Work done by a few threads ahead of whoever needs its results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKERS = min(4, os.cpu_count() or 1)


def ahead(
    work: Callable[[Task], Result], tasks: Iterable[Task], *, workers: int = WORKERS, depth: int = 2
) -> Generator[Result, None, None]:
    """The results of `work` for each task, in order, computed by threads while the caller uses earlier ones.

    At most `workers` x `depth` results wait, so memory is bounded however many tasks there are. An exception of
    `work` is raised here. Closing the iterator early drops what has not begun and waits for what has.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) >= workers * depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
