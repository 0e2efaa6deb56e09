"""Atomic, durable writes: files and folders that appear whole or not at all.

Content is written under a temporary name in the same folder, fsynced, and renamed. Errors are the operating
system's; callers translate them.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_write(file: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file to fill; it takes the name `file`, replacing an older one, once the block ends.

    A failed block leaves the older file untouched and nothing else behind.
    """
    staged = _temporary_name(file)
    try:
        with staged.open("xb") as opened:
            yield opened
        publish(staged, file)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the name `folder`, replacing an older one, once the block ends.

    A failed block leaves the older folder untouched and nothing else behind. A crash between the two renames leaves
    the older folder as `.NAME.old`, where `recover` finds it.
    """
    make_folder(folder.parent)
    with staging_folder(_temporary_name(folder)) as staged:
        yield staged
        _sync_tree(staged)
        previous = _previous(folder)
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        staged.rename(folder)
        sync(folder.parent)
        shutil.rmtree(previous, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back the older folder after a crash between the two renames of `atomic_folder`."""
    previous = _previous(folder)
    if previous.is_dir() and not folder.exists():
        previous.rename(folder)


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Make `path` an empty folder for the block and remove it afterwards; what a killed process left there is removed.

    What the block published or moved elsewhere stays.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(staged: Path, target: Path) -> None:
    """Make a file or a folder with its content durable and rename it to `target`, in the same file system.

    An older file is replaced; an older folder that is not empty raises OSError.
    """
    _sync_tree(staged)
    staged.rename(target)
    sync(target.parent)


def publish_new(staged: Path, target: Path) -> bool:
    """Make a file durable and rename it to `target` unless that name is taken; return whether it was renamed.

    If two processes do this at the same time, exactly one of them gets True.
    """
    sync(staged)
    try:
        os.link(staged, target)
        staged.unlink()
    except FileExistsError:
        return False
    except OSError:  # a file system without links; the rename is atomic too, but would replace a rival's file
        staged.rename(target)
    sync(target.parent)
    return True


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, durable on disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(path: Path) -> None:
    for inner in path.rglob("*") if path.is_dir() else ():
        sync(inner)
    sync(path)


def _temporary_name(path: Path) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"


def _previous(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old"
