"""The galleries of a service, by name: opened, created and dropped in its data folder."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vitreid.bundle.atomic import sync
from vitreid.service.errors import BadParameter, GalleryError
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryFull, GalleryNeeded, GalleryNotFound, GalleryReadOnly
from vitreid.service.gallery.maintenance.removal import remove_gallery
from vitreid.service.gallery.rows.database import FILE
from vitreid.service.values.texts import DEFAULT_GALLERY

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
    """Facts about a gallery that was dropped."""

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
    once. This process holds the maintenance locks, with `command` in the message to others. `shortage` returns why
    the disk has no room for a new one, or None.
    """

    def __init__(
        self,
        folder: Path,
        opener: Callable[[Path], Gallery],
        *,
        command: str,
        shortage: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.folder = folder
        self._shortage = shortage
        self._opener = opener
        self._command = command
        self._changing = threading.Lock()  # one creation or drop at a time
        self._open: dict[str, Gallery] = {}
        self._failures: dict[str, GalleryError] = {}

    def open_all(self, opening: Callable[[str], None] = lambda name: None) -> Self:
        """Open the galleries that are there, and make `default`; `opening` is called with each name before.

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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every gallery, with a snapshot where one is due."""
        while self._open:
            _, gallery = self._open.popitem()
            try:
                gallery.write_snapshot(only_if_due=True)
            except GalleryError as error:
                logger.warning("no snapshot at the end: %s", error)  # it is a cache: the next start takes longer
            gallery.close()

    def get(self, name: str) -> Gallery:
        """Return the open gallery of this name. Raises GalleryNotFound, or why it could not be opened."""
        gallery = self._open.get(name)
        if gallery is not None:
            return gallery
        if name in self._failures:
            failure = self._failures[name]
            raise type(failure)(*failure.args) from failure
        raise GalleryNotFound(f"there is no gallery {name!r}; GET /v1/galleries lists them")

    def names(self) -> list[str]:
        """Return all names, of those too that could not be opened, in order."""
        return sorted([*self._open, *self._failures])

    def opened(self) -> Mapping[str, Gallery]:
        """Return the open galleries by name, as they are now."""
        return dict(self._open)

    def failures(self) -> Mapping[str, GalleryError]:
        """Return the errors of galleries that could not be opened, by name."""
        return dict(self._failures)

    def create(self, name: str) -> tuple[Gallery, bool]:
        """Return the gallery of this name, made where it is missing, and whether it was.

        Raises BadParameter for a name that a gallery cannot have, and the GalleryErrors of opening one.
        """
        check_name(name)
        with self._changing:
            if name in self._open or name in self._failures:
                return self.get(name), False
            if (shortage := self._shortage()) is not None:
                raise GalleryFull(shortage)
            self._enter(name)
            return self._open[name], True

    def drop(self, name: str) -> Dropped:
        """Close a gallery and remove its files; from the first moment on no search finds it.

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
        sync(self.folder)  # a caller who knows that it went must not meet it again
        return Dropped(info.items, info.images, info.bytes, remaining)

    def _remove(self, left: Path, name: str) -> list[str]:
        remaining = remove_gallery(left)
        if remaining:
            logger.error("gallery %s was dropped, but of its files %d are left in %s", name, len(remaining), left)
        return remaining

    def _enter(self, name: str) -> None:
        gallery = self._opener(self.folder / name)
        try:
            # The lock comes first: where another process holds it, nobody waits for the index to load.
            gallery.acquire_maintenance_lock(self._command)
            gallery.refresh()
        except BaseException:
            gallery.close()
            raise
        self._open[name] = gallery
