"""Answers that may be long: they are made in a thread, so that the event loop goes on with other requests."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Response
from pydantic import BaseModel

from service.state import Service


async def json_answer(service: Service, make: Callable[[], BaseModel], status: int = 200) -> Response:
    """The answer with a body that is made, and written, in a thread."""
    content = await service.write(lambda: make().model_dump_json().encode())
    return Response(content, status_code=status, media_type="application/json")
