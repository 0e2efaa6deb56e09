"""Databases that nobody asks: their files are closed where many galleries would use up the process's descriptors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from vitreid.service.values import descriptors

FILES = 32
"""Of one descriptor in so many a database may be open: it has three files, and two more for each busy thread."""
LEAST = 4


class Rests(Protocol):
    """A database that can close its files, and opens them again when it is asked next."""

    def rest(self) -> None:
        """Close every file that is not in use."""


class Awake:
    """The databases with open files. The least recently used of more than `most` are told to rest."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._used: OrderedDict[Rests, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def use(self, database: Rests) -> None:
        """Note that a database is asked now."""
        tired = []
        with self._lock:
            new = database not in self._used
            self._used[database] = None
            self._used.move_to_end(database)
            if new:
                most = self._most()
                while len(self._used) > most:
                    tired.append(self._used.popitem(last=False)[0])
        for each in tired:
            each.rest()

    def forget(self, database: Rests) -> None:
        """Note that a database was closed."""
        with self._lock:
            self._used.pop(database, None)


AWAKE = Awake(lambda: max(LEAST, descriptors.limit() // FILES))
"""Of this process: descriptors are its own."""
