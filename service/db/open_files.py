"""The process's limit on open files, and the closing of idle databases before many of them reach it."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

MAX_FILES = 65_536
DATABASE_FILES = 4
"""The file, its log, its index of the log, and one to spare."""
FILES_PER_DATABASE = 32
"""One database may be open per this many descriptors: it has three files, and two more for each busy thread."""
MIN_DATABASES = 4


def raise_limit() -> int:
    """Raise this process's limit on open files to what the system allows it, and return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """Return how many files and connections this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if soft == resource.RLIM_INFINITY else soft


def exhausted() -> bool:
    """Return whether the files of a database cannot be opened any more, whatever their rights."""
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(DATABASE_FILES))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


class Closable(Protocol):
    """A database that can close its files, and opens them again at its next use."""

    def close_idle(self) -> None:
        """Close every file that is not in use."""


class OpenDatabases:
    """The databases with open files; of more than `max_open()` the least recently used are closed."""

    def __init__(self, max_open: Callable[[], int]) -> None:
        self._max_open = max_open
        self._lock = threading.Lock()
        self._used: OrderedDict[Closable, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def use(self, database: Closable) -> None:
        """Note that a database is used now."""
        idle = []
        with self._lock:
            new = database not in self._used
            self._used[database] = None
            self._used.move_to_end(database)
            if new:
                max_open = self._max_open()
                while len(self._used) > max_open:
                    idle.append(self._used.popitem(last=False)[0])
        for each in idle:
            each.close_idle()

    def forget(self, database: Closable) -> None:
        """Note that a database was closed."""
        with self._lock:
            self._used.pop(database, None)


OPEN_DATABASES = OpenDatabases(lambda: max(MIN_DATABASES, limit() // FILES_PER_DATABASE))
"""Of this process."""
