"""The galleries of a service, by name: found in its data folder, made, and dropped."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vitreid.bundle.atomic import sync
from vitreid.service.config import DEFAULT_GALLERY
from vitreid.service.errors import BadParameter, GalleryError
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryNeeded, GalleryNotFound, GalleryReadOnly
from vitreid.service.gallery.maintenance.removal import remove_gallery
from vitreid.service.gallery.opening import FILE

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
logger = logging.getLogger("vitreid")
_DROPPED = ".dropped."  # start of the names of folders that are still being removed


def check_name(name: str) -> None:
    """Raise BadParameter for a name that no gallery of a service can have."""
    if not NAME.fullmatch(name):
        raise BadParameter(
            f"a gallery cannot be called {name!r}; take 1 to 63 of a-z, 0-9, _ and -, the first a letter or digit"
        )


@dataclass(frozen=True)
class Dropped:
    """What a gallery was that was dropped."""

    items: int
    images: int
    bytes: int
    """Of its database."""
    remaining: list[str]
    """Files that could not be removed, by their place in its folder."""


class Galleries:
    """All galleries of a folder, open; safe to use from several threads.

    `opener` opens the gallery in a folder, or makes one there, and loads nothing yet. A gallery that it cannot open is
    listed in `failures` and raises its error where it is asked for; only one that is needed, `default`, raises it at
    once. This process is the keeper of what it opens, and others hear that it runs the command `keep`. `check_room`
    raises GalleryFull where the disk has no room for a new one.
    """

    def __init__(
        self,
        folder: Path,
        opener: Callable[[Path], Gallery],
        *,
        keep: str,
        check_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self._check_room = check_room
        self._opener = opener
        self._keep = keep
        self._changing = threading.Lock()  # one creation or drop at a time
        self._open: dict[str, Gallery] = {}
        self._failures: dict[str, GalleryError] = {}

    def open_all(self, opening: Callable[[str], None] = lambda name: None) -> Self:
        """Open the galleries that are there, and make `default`; `opening` hears each name before.

        Raises the GalleryError of `default`.
        """
        for left in self.folder.glob(f"{_DROPPED}*"):
            self._remove(left, left.name)
        found = {path.name for path in self.folder.glob("*") if NAME.fullmatch(path.name)}
        for path in self.folder.glob(f"*/{FILE}"):
            if path.parent.name not in found and not path.parent.name.startswith("."):
                logger.warning("%s is not served: no gallery can have this name; rename the folder", path.parent)
        for name in sorted(found | {DEFAULT_GALLERY}, key=lambda name: (name != DEFAULT_GALLERY, name)):
            opening(name)
            try:
                self._enter(name)
            except GalleryError as error:
                if name == DEFAULT_GALLERY:
                    raise
                logger.error("gallery %s cannot be used: %s", name, error)
                self._failures[name] = error
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every gallery, with a snapshot where one is due."""
        while self._open:
            _, gallery = self._open.popitem()
            try:
                gallery.upkeep_snapshot()
            except GalleryError as error:
                logger.warning("no snapshot at the end: %s", error)  # it is a cache: the next start takes longer
            gallery.close()

    def get(self, name: str) -> Gallery:
        """The open gallery of this name. Raises GalleryNotFound, or why it could not be opened."""
        gallery = self._open.get(name)
        if gallery is not None:
            return gallery
        if name in self._failures:
            failure = self._failures[name]
            raise type(failure)(*failure.args) from failure
        raise GalleryNotFound(f"there is no gallery {name!r}; GET /v1/galleries lists them")

    def names(self) -> list[str]:
        """All names, of those too that could not be opened, in order."""
        return sorted([*self._open, *self._failures])

    def opened(self) -> Mapping[str, Gallery]:
        """The open galleries by name, as they are now."""
        return dict(self._open)

    def failures(self) -> Mapping[str, GalleryError]:
        """Why galleries could not be opened, by name."""
        return dict(self._failures)

    def create(self, name: str) -> tuple[Gallery, bool]:
        """The gallery of this name, made where it is missing, and whether it was.

        Raises BadParameter for a name that a gallery cannot have, and the GalleryErrors of opening one.
        """
        check_name(name)
        with self._changing:
            if name in self._open or name in self._failures:
                return self.get(name), False
            self._check_room()
            self._enter(name)
            return self._open[name], True

    def drop(self, name: str) -> Dropped:
        """Close a gallery and remove its files; what it was. From the first moment on no search finds it.

        Raises GalleryNotFound, GalleryNeeded for `default`, and why it could not be opened: such files are not ours.
        """
        if name == DEFAULT_GALLERY:
            raise GalleryNeeded(f"the gallery {name!r} always exists; erase its items instead")
        with self._changing:
            gallery = self.get(name)
            info = gallery.info()
            del self._open[name]  # before anything else: who searches from now on finds nothing
            # The new name hides what is left should the process end now; the next start removes it.
            left = self.folder / f"{_DROPPED}{uuid.uuid4().hex[:8]}"
            try:
                gallery.folder.rename(left)
            except OSError as error:
                self._open[name] = gallery
                raise GalleryReadOnly(f"{gallery.folder} cannot be removed ({error.strerror})") from error
            gallery.close()
        remaining = self._remove(left, name)
        sync(self.folder)  # who was told that it went must not meet it again
        return Dropped(info.items, info.images, info.bytes, remaining)

    def _remove(self, left: Path, name: str) -> list[str]:
        remaining = remove_gallery(left)
        if remaining:
            logger.error("gallery %s was dropped, but of its files %d are left in %s", name, len(remaining), left)
        return remaining

    def _enter(self, name: str) -> None:
        gallery = self._opener(self.folder / name)
        try:
            # The keeper comes first: where there is another one, nobody waits for the index to load.
            gallery.keep(self._keep)
            gallery.refresh()
        except BaseException:
            gallery.close()
            raise
        self._open[name] = gallery
