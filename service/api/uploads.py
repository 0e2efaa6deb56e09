"""Images in a request's body, raw or as parts of a form; no byte of an upload touches a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from vitreid.service.errors import BadParameter, RequestError, TooLarge, UnsupportedMedia
from vitreid.service.values.messages import shown

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""Non-standard names that many clients send."""
FORM_TYPE = "multipart/form-data"
MAX_NAME = 255
MAX_QUERY_IMAGES = 8


@dataclass(frozen=True)
class Upload:
    """One image as it was sent; `name` is the last part of the client's file name."""

    content: bytes
    name: str | None = None


async def read_query(request: Request) -> list[Upload]:
    """Read the images of one person: the raw body, or 1 to MAX_QUERY_IMAGES form fields `image`.

    Raises UnsupportedMedia, RequestError, TooLarge or BadParameter.
    """
    kind = _media_type(request)
    if kind in IMAGE_TYPES:
        return [Upload(await request.body())]
    if kind != FORM_TYPE:
        raise UnsupportedMedia(f"{_shown(kind)}; send {', '.join(IMAGE_TYPES)}, or {FORM_TYPE} with `image`")
    async with read_form(request, "image", max_files=MAX_QUERY_IMAGES + 1) as form:
        uploads = _files(form, "image")
    if not 1 <= len(uploads) <= MAX_QUERY_IMAGES:
        raise BadParameter(f"the form has {len(uploads)} images in `image`; send 1 to {MAX_QUERY_IMAGES} of a person")
    return uploads


async def read_compared(request: Request) -> list[Upload]:
    """Read the images to compare: none without a body, else as `read_query`. Raises the same."""
    if not _media_type(request) and not await request.body():
        return []
    return await read_query(request)


async def read_items(request: Request, max_images: int) -> tuple[list[Upload], bytes | None]:
    """Read the images in the form field `images`, and the text of the field `metadata`.

    Raises UnsupportedMedia, RequestError, TooLarge or BadParameter.
    """
    kind = _media_type(request)
    if kind != FORM_TYPE:
        raise UnsupportedMedia(f"{_shown(kind)}; send {FORM_TYPE} with one or more files in `images`")
    async with read_form(request, "images", max_files=max_images + 1) as form:
        uploads = _files(form, "images", "metadata")
        metadata = form.getlist("metadata")
        texts = [part.file.read() if isinstance(part, UploadFile) else part.encode() for part in metadata]
    if len(texts) > 1:
        raise BadParameter("the form has several fields `metadata`; send one JSON list or object")
    if not 1 <= len(uploads) <= max_images:
        raise BadParameter(f"the form has {len(uploads)} files in `images`; send 1 to {max_images}")
    return uploads, texts[0] if texts else None


def _files(form: FormData, field: str, *others: str) -> list[Upload]:
    if unknown := sorted(set(form) - {field, *others}):
        allowed = " and ".join(f"`{name}`" for name in (field, *others))
        raise BadParameter(f"the form has a field {shown(unknown[0])}; allowed: {allowed}; all else is in the address")
    parts = form.getlist(field)
    if any(not isinstance(part, UploadFile) for part in parts):
        raise BadParameter(f"the field `{field}` holds text; send a file (with curl: -F {field}=@image.jpg)")
    return [Upload(part.file.read(), _file_name(part.filename)) for part in parts if isinstance(part, UploadFile)]


def _file_name(given: str | None) -> str | None:
    # Only a name for people and for reading labels from: no folder of it is ever used.
    name = PurePosixPath((given or "").replace("\\", "/")).name
    printable = "".join(letter for letter in name if letter.isprintable())
    return printable[-MAX_NAME:] or None


def _media_type(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return ALIASES.get(kind, kind)


def _shown(kind: str) -> str:
    return f"the body is {shown(kind)}" if kind else "the body has no Content-Type"


MAX_FIELD_BYTES = 4 * 2**20
"""Of any part that holds no image, whether it comes as text or as a file."""
MAX_FIELDS = 8


@asynccontextmanager
async def read_form(request: Request, images: str, *, max_files: int) -> AsyncIterator[FormData]:
    """Read the parts of a multipart body; `images` is the field whose parts may be as large as the body.

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

    spool_max_size = 0  # never: queries are not stored, and work on a full disk

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
