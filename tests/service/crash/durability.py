"""Durability of names after a power failure: kill -9 keeps what the system has not written yet, a
power failure does not. A file must be on disk before it gets its name, and the name before anybody relies on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

Version = tuple[int, int, int]


class Durability:
    """Watches fsync and what changes names, from `watch` on."""

    def __init__(self) -> None:
        self._synced: dict[Path, Version] = {}
        self._unsafe: list[tuple[Path, str]] = []
        self._changed: dict[Path, str] = {}
        """Folders with a change of names that is not on disk yet, and the change."""

    def watch(self) -> None:
        """Begin."""
        for name, on_failpoint in {
            "fsync": self._sync,
            "rename": self._name,
            "replace": self._name,
            "link": self._name,
            "mkdir": self._change,
            "unlink": self._change,
            "rmdir": self._change,
        }.items():
            self._hear(name, on_failpoint)

    def faults(self) -> list[str]:
        """Changes that a power failure now could undo, of what is still there."""
        unsafe = [what for path, what in self._unsafe if path.exists()]
        return unsafe + [what for folder, what in self._changed.items() if folder.exists()]

    def _hear(self, name: str, on_failpoint: Any) -> None:
        call = getattr(os, name)
        names_two = on_failpoint == self._name

        def heard(*arguments: Any, **options: Any) -> Any:
            paths = [_path(place, options.get("dir_fd")) for place in arguments[: 1 + names_two]]
            if names_two:
                on_failpoint(name, *paths)
                return call(*arguments, **options)
            done = call(*arguments, **options)
            on_failpoint(name, *paths)
            return done

        setattr(os, name, heard)

    def _sync(self, _: str, path: Path) -> None:
        self._synced[path] = _version(path)
        self._changed.pop(path, None)

    def _name(self, name: str, old: Path, new: Path) -> None:
        for path in [old, *old.rglob("*")]:
            if self._synced.get(path) != _version(path):
                self._unsafe.append((new, f"{name} to {new.name}: {path.name} is not on disk"))
        if name != "link":
            self._change(name, old)
        self._change(name, new)

    def _change(self, name: str, path: Path) -> None:
        self._changed[path.parent] = f"{name} {path.name}: {path.parent.name} is not on disk"


def _path(place: Any, folder: int | None) -> Path:
    if isinstance(place, int):
        return Path(os.readlink(f"/proc/self/fd/{place}"))
    return Path(os.path.abspath(place)) if folder is None else _path(folder, None) / place


def _version(path: Path) -> Version:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
