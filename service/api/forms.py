"""Forms that are read into memory: no byte of an upload touches a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from vitreid.service.errors import RequestError, TooLarge

MAX_FIELD_BYTES = 4 * 2**20
"""Of any part that holds no image, whether it comes as text or as a file."""
MAX_FIELDS = 8


@asynccontextmanager
async def read_form(request: Request, images: str, *, max_files: int) -> AsyncIterator[FormData]:
    """The parts of a multipart body; `images` is the field whose parts may be as large as the body.

    Its size is what the cap on bodies allows. Raises RequestError, TooLarge.
    """
    parser = _MemoryParser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
        images=images,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise RequestError(f"the form has more than {max_files - 1} files; send up to so many") from error
        raise RequestError(f"the body is not a form that can be read: {error.message}") from error
    try:
        yield form
    finally:
        await form.close()


class _MemoryParser(MultiPartParser):
    """Starlette's parser, which puts parts that are files into temporary files and caps only those that are not."""

    spool_max_size = 0  # never: queries are not stored, and a full disk keeps nobody from asking

    def __init__(self, *arguments: Any, images: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._images = images
        self._left = MAX_FIELD_BYTES

    def on_part_begin(self) -> None:
        """Begin to count."""
        self._left = MAX_FIELD_BYTES
        super().on_part_begin()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take more of a part."""
        name = self._current_part.field_name
        if name != self._images or self._current_part.file is None:
            self._left -= end - start
            if self._left < 0:
                raise TooLarge(f"the part `{name:.60}` exceeds the limit of {MAX_FIELD_BYTES:,} bytes; send less")
        super().on_part_data(data, start, end)
