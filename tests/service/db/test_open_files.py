"""File descriptors are few: many galleries and connections in a process that may open only 256 files."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vitreid.service.db import open_files
from vitreid.service.db.open_files import OpenDatabases

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
MANY_GALLERIES = """
import json, os, sys
from pathlib import Path
from functools import partial
import numpy as np
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.items import NewItem

one = np.ones((1, 1), dtype=np.float32)
opener = partial(Gallery.open, bundle_id="b" * 64, dimension=1, index="flat", load=False)
with Galleries(Path(sys.argv[1]), opener, command="test") as galleries:
    names = [f"g{number}" for number in range(100)]
    for name in names:
        galleries.create(name)
    for again in range(2):
        for name in names:
            galleries.get(name).add([NewItem(embedding=one[0], image_hash=f"{again:064}")])
            assert len(galleries.get(name).search(one, 5)[0]) == again + 1
    print(json.dumps({"galleries": len(galleries.names()), "files": len(os.listdir("/proc/self/fd"))}))
"""
NO_FILES_LEFT = """
import os, sys
from pathlib import Path
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryOutOfFiles
Gallery.open(Path(sys.argv[1]), bundle_id="b" * 64, dimension=1, index="flat").close()
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
os.close(held.pop())
for use in (lambda gallery: gallery, lambda gallery: gallery.acquire_maintenance_lock("x")):
    try:
        use(Gallery.open(Path(sys.argv[1]), bundle_id="b" * 64, dimension=1, index="flat", load=False))
    except GalleryOutOfFiles as error:
        print("ulimit -n" in str(error) or "Too many open files" in str(error))
"""


def limited(program: str, *arguments: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + program, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_hundred_galleries_need_no_more_than_256_files(tmp_path: Path) -> None:
    found = json.loads(limited(MANY_GALLERIES, tmp_path))
    assert found["galleries"] == 100
    assert found["files"] < 200


@pytest.mark.slow
def test_the_lack_of_descriptors_is_no_lack_of_rights(tmp_path: Path) -> None:
    assert limited(NO_FILES_LEFT, tmp_path / "gallery").split() == ["True", "True"]


def test_the_limit_is_raised_to_what_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    assert open_files.raise_limit() == 4096
    limits.append((8192, resource.RLIM_INFINITY))
    assert open_files.raise_limit() == open_files.MAX_FILES
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert open_files.raise_limit() == open_files.MAX_FILES


def test_the_least_recently_used_database_is_closed() -> None:
    class Closed:
        closed = 0

        def close_idle(self) -> None:
            self.closed += 1

    databases = OpenDatabases(lambda: 2)
    first, second, third = Closed(), Closed(), Closed()
    for each in (first, second, first, third, third):
        databases.use(each)
    assert [first.closed, second.closed, third.closed] == [0, 1, 0]
    databases.forget(first)
    assert len(databases) == 1
