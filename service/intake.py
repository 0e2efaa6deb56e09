"""Files on their way in: which ones there are, and each one read, hashed, decoded and prepared, or refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bundle import ImageError, read_image
from service.errors import FolderNotFound, IndexingError, NoImages
from service.pictures import encode_picture

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_BYTES = 256 * 2**20
FILES_AT_ONCE = 8
BYTES_AT_ONCE = 16 * 2**20


@dataclass(frozen=True)
class ImageFile:
    """A file with an image's suffix."""

    path: Path
    name: str
    """Relative to the folder, with slashes."""
    bytes: int


@dataclass(frozen=True)
class Found:
    """The content of a folder."""

    files: list[ImageFile]
    """In order of their names."""
    ignored: int
    """Files without an image's suffix, hidden ones, and what is no file."""


@dataclass(frozen=True)
class BadImage:
    """A file that could not be used, by its name relative to the folder, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Known:
    """A file whose bytes the gallery has already."""

    name: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """A file that is ready for the model."""

    name: str
    image_hash: str
    pixels: NDArray[np.uint8]
    """(height, width, 3), as the model takes them."""
    picture: bytes | None
    """What the gallery keeps."""


def scan_folder(folder: Path) -> Found:
    """All images below a folder; links to folders are not followed. Raises FolderNotFound, NoImages."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise FolderNotFound(f"{folder} {found}; name a folder of images ({', '.join(SUFFIXES)})")
    every = [Path(root, name) for root, _, names in os.walk(folder, onerror=_refuse) for name in names]
    files = [_image_file(path, folder) for path in every if _is_image(path)]
    if not files:
        raise NoImages(
            f"{folder} holds no images, only {len(every):,} other files; allowed are {', '.join(SUFFIXES)} "
            "in any folder below it"
        )
    return Found(sorted(files, key=lambda file: file.name), ignored=len(every) - len(files))


def find_images(folder: Path) -> list[Path]:
    """The paths of all images below a folder, in order. Raises FolderNotFound, NoImages."""
    return [file.path for file in scan_folder(folder).files]


def chunks_of(files: Sequence[ImageFile]) -> Iterator[list[ImageFile]]:
    """Files in portions that are small in number and in bytes, so that few bytes are in memory at once."""
    chunk: list[ImageFile] = []
    for file in files:
        if chunk and (len(chunk) == FILES_AT_ONCE or sum(each.bytes for each in chunk) + file.bytes > BYTES_AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(file)
    if chunk:
        yield chunk


def prepare_files(
    files: Sequence[ImageFile],
    prepare: Callable[[Image.Image], NDArray[np.uint8]],
    *,
    known_hashes: Callable[[set[str]], set[str]] | None = None,
    with_pictures: bool = True,
) -> list[Prepared | Known | BadImage]:
    """One result for each file, in order; files whose hashes `known_hashes` gives back are not decoded."""
    contents = [_read(file) for file in files]
    hashes = ["" if isinstance(content, BadImage) else hashlib.sha256(content).hexdigest() for content in contents]
    known = known_hashes({image_hash for image_hash in hashes if image_hash}) if known_hashes else set()
    results: list[Prepared | Known | BadImage] = []
    for file, content, image_hash in zip(files, contents, hashes, strict=True):
        if isinstance(content, BadImage):
            results.append(content)
        elif image_hash in known:
            results.append(Known(file.name))
        else:
            results.append(_prepare(file.name, content, image_hash, prepare, with_pictures))
    return results


def _prepare(
    name: str,
    content: bytes,
    image_hash: str,
    prepare: Callable[[Image.Image], NDArray[np.uint8]],
    with_picture: bool,
) -> Prepared | BadImage:
    try:
        image = read_image(content, name=name)
    except ImageError as error:
        return BadImage(name, error.reason)
    return Prepared(name, image_hash, prepare(image), encode_picture(image) if with_picture else None)


def _read(file: ImageFile) -> bytes | BadImage:
    if file.bytes > MAX_BYTES:
        return BadImage(file.name, f"has {file.bytes:,} bytes, at most {MAX_BYTES:,} are allowed")
    try:
        file.name.encode()
        return file.path.read_bytes()
    except UnicodeEncodeError:
        shown = os.fsencode(file.name).decode(errors="replace")
        return BadImage(shown, "has a name that is not UTF-8; rename it")
    except OSError as error:
        return BadImage(file.name, f"cannot be read ({error.strerror})")


def _is_image(path: Path) -> bool:
    # A broken link is kept, so that it is reported; a pipe or device of that name would block whoever reads it.
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return named and (path.is_file() or (path.is_symlink() and not path.exists()))


def _image_file(path: Path, folder: Path) -> ImageFile:
    size = path.stat().st_size if path.exists() else 0
    return ImageFile(path, path.relative_to(folder).as_posix(), size)


def _refuse(error: OSError) -> None:
    raise IndexingError(f"{error.filename} cannot be read ({error.strerror}); check its permissions") from error
