"""Thread pools for blocking work, so that the event loop stays free for other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from fastapi import Response
from pydantic import BaseModel

T = TypeVar("T")


class Threads:
    """Three pools: `workers` threads for requests, one that writes long answers, and one for pages of rows.

    A request that is cancelled drops its task if the task has not begun; one that runs ends by itself.
    """

    def __init__(self, workers: int) -> None:
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        # One at a time: several threads that write JSON would keep the event loop from the GIL.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        # Apart from the writer: a slow page delays other pages and no query.
        self._pager = ThreadPoolExecutor(1, thread_name_prefix="pager")

    async def run(self, task: Callable[[], T]) -> T:
        """Run blocking work; at most `workers` tasks run at a time, the others wait."""
        return await _run(self._workers, task)

    async def json(self, make: Callable[[], BaseModel], status: int = 200) -> Response:
        """Serialize a long body."""
        return _json(await _run(self._writer, lambda: make().model_dump_json().encode()), status)

    async def json_page(self, make: Callable[[], BaseModel]) -> Response:
        """Read and serialize a page of rows."""
        return _json(await _run(self._pager, lambda: make().model_dump_json().encode()))

    def close(self) -> None:
        """Drop tasks that have not begun, and wait for those that run."""
        for pool in (self._workers, self._writer, self._pager):
            pool.shutdown(cancel_futures=True)


async def _run(pool: ThreadPoolExecutor, task: Callable[[], T]) -> T:
    return await asyncio.wrap_future(pool.submit(copy_context().run, task))


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status_code=status, media_type="application/json")
