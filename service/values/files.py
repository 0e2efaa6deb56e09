"""Files that a command writes: each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vitreid.bundle import atomic
from vitreid.service.errors import ServiceError


class CannotWrite(ServiceError):
    """An output file cannot be written."""

    slug = "cannot-write"


@contextmanager
def atomic_write(out: Path) -> Iterator[IO[bytes]]:
    """Yield a file to fill; it takes the name `out` once the block ends, durable on disk. Raises CannotWrite."""
    try:
        with atomic.atomic_write(out) as file:
            yield file
    except OSError as error:
        raise CannotWrite(f"{out} cannot be written ({error.strerror}); name another file") from error
