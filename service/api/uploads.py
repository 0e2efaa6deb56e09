"""From a request's body to the bytes of its images: a raw body, or parts of a form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from vitreid.service.api.forms import read_form
from vitreid.service.errors import BadParameter, UnsupportedMedia
from vitreid.service.values.messages import shown

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""Names that no standard knows and many clients send."""
FORM_TYPE = "multipart/form-data"
MAX_NAME = 255
MAX_QUERY_IMAGES = 8


@dataclass(frozen=True)
class Upload:
    """One image as it was sent; `name` is the last part of the client's file name."""

    content: bytes
    name: str | None = None


async def read_query(request: Request) -> list[Upload]:
    """The images of one person: the raw body, or 1 to MAX_QUERY_IMAGES form fields `image`.

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
    """The images that are compared: none where the request has no body, else as `read_query`, which it raises as."""
    if not _media_type(request) and not await request.body():
        return []
    return await read_query(request)


async def read_items(request: Request, max_images: int) -> tuple[list[Upload], bytes | None]:
    """The images in the form field `images`, and the text of the field `metadata`.

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
