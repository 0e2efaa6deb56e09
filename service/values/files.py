"""Files that a command writes where it was told to: each appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vitreid.service.errors import ServiceError


class CannotWrite(ServiceError):
    """A file cannot be written where it was asked for."""

    slug = "cannot-write"


@contextmanager
def atomic_write(out: Path) -> Iterator[IO[bytes]]:
    """A file to fill; it takes the name `out` once the block ends, durable on disk. Raises CannotWrite."""
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp", delete=False) as file:
            unfinished = Path(file.name)
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                unfinished.replace(out)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CannotWrite(f"{out} cannot be written ({error.strerror}); name another file") from error
