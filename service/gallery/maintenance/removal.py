"""Removal of a gallery's files, wherever links lead, with a check afterwards."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from vitreid.service.gallery.rows.database import FILE
from vitreid.service.gallery.snapshots.snapshot import FOLDER

_OURS = (FILE, f"{FILE}-wal", f"{FILE}-shm", FOLDER)


def remove_gallery(folder: Path) -> list[str]:
    """Remove a gallery's folder, or what it is a link to; return what is left, by its path in the gallery.

    Of links in it only those of our own names are followed: what else they lead to belongs to somebody else.
    """
    real = folder.resolve()
    targets = {name: (real / name).resolve() for name in _OURS if (real / name).is_symlink()}
    for target in targets.values():
        _remove(target)
    _remove(real)
    if folder.is_symlink() and not real.exists():
        folder.unlink()
    left = [path.relative_to(real).as_posix() for path in real.rglob("*") if not path.is_dir()] if real.exists() else []
    left += [name for name, target in targets.items() if target.exists()]
    return sorted(left) or ([folder.name] if real.exists() else [])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
