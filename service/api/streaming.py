"""Answers that may be long: they are made in a thread, so that the event loop goes on with other requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Response
from pydantic import BaseModel

Run = Callable[[Callable[[], bytes]], Awaitable[bytes]]


async def json_answer(run: Run, make: Callable[[], BaseModel], status: int = 200) -> Response:
    """The answer with a body that is made and written where `run` runs it: `Service.write`, or `Service.list`."""
    content = await run(lambda: make().model_dump_json().encode())
    return Response(content, status_code=status, media_type="application/json")
