"""A folder in memory where there is one: `kill -9` takes nothing from it either, and syncing it costs nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty folder."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="vitreid-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)
