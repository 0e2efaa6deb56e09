"""The process that is killed: it does what it planned to a gallery, and says before and after each operation what."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tests.service.crash.failpoints import end_at, watch
from tests.service.crash.history import PLANS, State, plan, then
from vitreid.scoring.patches import Foreground
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.gallery.maintenance.backup import back_up, drop_backup
from vitreid.service.gallery.maintenance.purging import purge
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.rows.patches import write_patches
from vitreid.service.gallery.rows.tables import backups
from vitreid.service.indexes.faiss_calls import load_faiss

load_faiss()  # before the process is copied for each round: afterwards it costs nothing

DIMENSION = 4
BUNDLE_ID = "a" * 64
KEEPING = ("snapshot", "rebuild", "purge", "backup")
"""What another thread does beside the writer, as in a service."""


@cache
def make_image(number: int) -> bytes:
    """A JPEG of noise: bytes that nothing else has."""
    content = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "JPEG", quality=20)
    return content.getvalue()


def embedding(number: int) -> np.ndarray:
    """(4,) unit length."""
    row = np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def new_item(number: int, camera_id: str | None, person_id: str | None) -> NewItem:
    """The item of this number."""
    content = make_image(number)
    return NewItem(
        embedding(number),
        hashlib.sha256(content).hexdigest(),
        content,
        camera_id=camera_id,
        person_id=person_id,
        metadata={"number": number},
    )


def open_gallery(folder: Path, index: str) -> Gallery:
    """The gallery of a round, kept by this process."""
    gallery = Gallery.open(folder, bundle_id=BUNDLE_ID, dimension=DIMENSION, index=index)
    gallery.acquire_maintenance_lock("test")
    return gallery


def backups_of(folder: Path) -> Path:
    """The folder of a gallery's backups."""
    return folder.parent / "backups"


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def patches(number: int) -> Foreground:
    """Foreground patches of noise, that nothing else has."""
    vectors = np.random.default_rng(1000 + number).standard_normal((6, 8)).astype(np.float16).astype(np.float32)
    return Foreground(np.arange(6), vectors)


@dataclass(frozen=True)
class Round:
    """The work of one process until it is killed."""

    folder: Path
    index: str
    state: State
    seed: int
    failpoint: int | None
    """Ends itself there; None: somebody else kills it."""
    beside: bool = False
    """Another thread keeps the gallery meanwhile."""
    first: tuple[str, ...] = ()
    """Kinds of the first operations; later ones are random."""


@dataclass
class Worker:
    """An open gallery, and where to report."""

    round: Round
    report: Callable[[Any], None]
    gallery: Gallery = field(init=False)

    def __post_init__(self) -> None:
        self.gallery = open_gallery(self.round.folder, self.round.index)

    def write(self) -> None:
        """Do one operation after the other, without end."""
        random = Random(self.round.seed)
        state = self.round.state
        first = iter(self.round.first)
        kinds = [kind for kind in PLANS if not (self.round.beside and kind in ("restore", "reopen"))]
        while True:
            kind = next(first, None) or random.choice(kinds)
            operation = plan(state, kind, random) if kind in kinds else None
            if operation is None:
                continue
            after = then(state, operation)
            self.report(("begun", operation))
            DOERS[operation.kind](self, **operation.given)
            self.report(("done", operation))
            assert self.gallery.info().seq == after.last_seq
            state = after

    def keep(self) -> None:
        """Keep the gallery, without end."""
        random = Random(f"beside {self.round.seed}")
        while True:
            operation = plan(self.round.state, random.choice(KEEPING), random)
            assert operation is not None
            DOERS[operation.kind](self, **operation.given)
            self.report(("kept", operation))

    def add(self, numbers: list[int], camera_id: str | None, person_id: str | None) -> None:
        added = self.gallery.add([new_item(number, camera_id, person_id) for number in numbers])
        assert len(added) == len(numbers)

    def update(self, item_id: int, camera_id: str | None, person_id: str | None) -> None:
        self.gallery.update(item_id, {"camera_id": camera_id, "person_id": person_id})

    def store_patches(self, found: dict[int, int]) -> None:
        with self.gallery._store.database.writing() as connection:
            write_patches(connection, "c" * 64, {item_id: patches(number) for item_id, number in found.items()})

    def back_up(self, name: str) -> None:
        back_up(self.gallery, self.place(name), now())

    def drop_backup(self, name: str) -> None:
        with self.gallery._store.database.reading() as connection:
            rows = connection.execute(backups.select()).all()
        [backup_id] = [row.id for row in rows if row.place == str(self.place(name))]
        drop_backup(self.gallery, backup_id, now(), gone=not self.place(name).exists())

    def restore(self, name: str) -> None:
        self.gallery.close()
        restore(self.place(name), self.round.folder, replace=True)
        self.gallery = open_gallery(self.round.folder, self.round.index)

    def reopen(self) -> None:
        self.gallery.close()
        self.gallery = open_gallery(self.round.folder, self.round.index)

    def place(self, name: str) -> Path:
        """Folder of a backup."""
        return backups_of(self.round.folder) / name


DOERS: dict[str, Callable[..., Any]] = {
    "add": Worker.add,
    "update": Worker.update,
    "delete": lambda worker, item_id: worker.gallery.delete(item_id),
    "erase": lambda worker, ids: worker.gallery.erase(ids, reason="test"),
    "store_patches": Worker.store_patches,
    "backup": Worker.back_up,
    "drop_backup": Worker.drop_backup,
    "restore": Worker.restore,
    "snapshot": lambda worker: worker.gallery.write_snapshot(),
    "rebuild": lambda worker: worker.gallery.rebuild_index(),
    "purge": lambda worker: purge(worker.gallery, now),
    "reopen": Worker.reopen,
}


def act(this: Round, sender: Connection) -> None:
    """Entry point of a round's process."""
    sending = threading.Lock()

    def report(message: object) -> None:
        with sending:
            sender.send(message)

    if this.failpoint is not None:
        watch(end_at(this.failpoint), every_statement=True)
    worker = Worker(this, report)
    if this.beside:
        threading.Thread(target=worker.keep, daemon=True).start()
    worker.write()
