"""Folders of pictures: which files there are, and their bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bundle import ImageError
from service.errors import FolderNotFound, IndexingError, NoImages

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ImageFile:
    """A file with an image's suffix."""

    path: Path
    name: str
    """Relative to the folder, with slashes."""
    size: int
    """In bytes."""

    def read(self) -> bytes:
        """All of its bytes. Raises ImageError."""
        if self.size > MAX_BYTES:
            raise ImageError(self.name, f"has {self.size:,} bytes, at most {MAX_BYTES:,} are allowed")
        try:
            self.name.encode()
            return self.path.read_bytes()
        except UnicodeEncodeError as error:
            shown = os.fsencode(self.name).decode(errors="replace")
            raise ImageError(shown, "has a name that is not UTF-8; rename it") from error
        except OSError as error:
            raise ImageError(self.name, f"cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Found:
    """The content of a folder."""

    files: list[ImageFile]
    """In order of their names."""
    ignored: int
    """Files without an image's suffix, hidden ones, and what is no file."""


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


def _is_image(path: Path) -> bool:
    # A broken link is kept, so that it is reported; a pipe or device of that name would block whoever reads it.
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return named and (path.is_file() or (path.is_symlink() and not path.exists()))


def _image_file(path: Path, folder: Path) -> ImageFile:
    size = path.stat().st_size if path.exists() else 0
    return ImageFile(path, path.relative_to(folder).as_posix(), size)


def _refuse(error: OSError) -> None:
    raise IndexingError(f"{error.filename} cannot be read ({error.strerror}); check its permissions") from error
