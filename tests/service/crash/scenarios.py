"""Everything that writes, each beginning with a prepared folder: to be ended in the middle, or to meet a full disk."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from tests.service.crash.checks import check_files, check_searches, rows_of
from tests.service.crash.history import Operation, State, then
from tests.service.crash.worker import (
    BUNDLE_ID,
    DIMENSION,
    DOERS,
    Round,
    Worker,
    backups_of,
    embedding,
    make_image,
    now,
    open_gallery,
)
from vitreid.bundle import read_image
from vitreid.service.access.access import keys_exist
from vitreid.service.access.database import AccessDatabase
from vitreid.service.access.keys import KeyStore
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.maintenance.backup import check_backup
from vitreid.service.gallery.maintenance.reembedding import drop_generation, reembed
from vitreid.service.gallery.maintenance.restoring import restore
from vitreid.service.gallery.snapshots.snapshot import snapshots

Begin = Callable[[], None]


def nothing() -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Scenario:
    """Something that writes, whole or not at all."""

    prepare: Callable[[Path], object]
    act: Callable[[Path, Begin], object]
    """Calls its second argument once all is ready."""
    check: Callable[[Path], Any]
    """What must hold whenever `act` was ended; changes nothing, and says what it found."""
    go_on: Callable[[Path, Any], object]
    """What must succeed then, where that was found."""


# ---- operations on a gallery, as in random sequences

BEFORE = (
    Operation("add", {"numbers": list(range(8)), "camera_id": "c1", "person_id": "7"}),
    Operation("erase", {"ids": [2]}),
    Operation("store_patches", {"found": {1: 0, 5: 4, 6: 5, 7: 6}}),
    Operation("snapshot"),
    Operation("add", {"numbers": [8, 9, 10], "camera_id": "c2", "person_id": None}),
    Operation("snapshot"),
    Operation("backup", {"name": "kept"}),
    Operation("update", {"item_id": 4, "camera_id": None, "person_id": "8"}),
    Operation("erase", {"ids": [5, 9]}),
    Operation("purge"),
    Operation("delete", {"item_id": 10}),
)
PREPARED = reduce(then, BEFORE, State())
OPERATIONS = (
    Operation("add", {"numbers": [20, 21, 1], "camera_id": "c1", "person_id": None}),
    Operation("update", {"item_id": 6, "camera_id": "c2", "person_id": None}),
    Operation("delete", {"item_id": 7}),
    Operation("erase", {"ids": [3, 4]}),
    Operation("store_patches", {"found": {3: 2, 6: 5, 8: 7}}),
    Operation("backup", {"name": "another"}),
    Operation("drop_backup", {"name": "kept"}),
    Operation("restore", {"name": "kept"}),
    Operation("snapshot"),
    Operation("rebuild"),
    Operation("purge"),
    Operation("reopen"),
)


def worker_in(place: Path) -> Worker:
    """The gallery of a scenario, opened."""
    return Worker(Round(place / "gallery", "exact", State(), seed=0, failpoint=None), report=print)


def prepare(place: Path) -> None:
    """A gallery with a history: two snapshots, a backup, something to purge."""
    worker = worker_in(place)
    for operation in BEFORE:
        DOERS[operation.kind](worker, **operation.given)
    worker.gallery.close()


def operate(operation: Operation, place: Path, begin: Begin) -> None:
    """Do one operation."""
    worker = worker_in(place)
    begin()
    DOERS[operation.kind](worker, **operation.given)
    worker.gallery.close()


def check_operated(operation: Operation, place: Path) -> State:
    """Either it was done or it was not."""
    found = check_is(place / "gallery", PREPARED, then(PREPARED, operation))
    assert snapshots(place / "gallery") or operation.kind == "restore"  # nothing takes the last good snapshot away
    for name in ("kept", "another"):
        if (backups_of(place / "gallery") / name).exists() and operation.kind != "drop_backup":
            check_backup(backups_of(place / "gallery") / name)
    return found


def add_after(place: Path, found: State) -> None:
    """The next addition gets the next id and seq."""
    worker = worker_in(place)
    following = Operation("add", {"numbers": [90], "camera_id": None, "person_id": None})
    worker.add(**following.given)
    worker.gallery.close()
    check_is(place / "gallery", then(found, following))


def check_is(folder: Path, *states: State) -> State:
    """Return the state that a gallery is in, of these."""
    with open_gallery(folder, "exact") as gallery:
        rows = rows_of(folder / "gallery.db")
        check_searches(gallery, rows.items)
    found = [state for state in states if rows.are(state)]
    assert found, rows
    check_files(folder, rows, found[0])
    return found[0]


# ---- what happens once in the life of a gallery


def create(place: Path, begin: Begin) -> None:
    """Make a gallery."""
    begin()
    open_gallery(place / "gallery", "exact").close()


def restore_new(place: Path, begin: Begin) -> None:
    """Make a gallery of a backup."""
    begin()
    if not (place / "new" / "gallery.db").exists():
        restore(backups_of(place / "gallery") / "kept", place / "new")


def check_restored(place: Path) -> None:
    """It is there as a whole or not at all."""
    if (place / "new" / "gallery.db").exists():
        check_is(place / "new", PREPARED.backups["kept"])


# ---- another model


class OtherModel:
    """Embeds an image by its bytes."""

    manifest: Any = SimpleNamespace(bundle_id="b" * 64, dimension=DIMENSION, cameras=())

    def prepare(self, image: Any) -> np.ndarray:
        """All of its pixels."""
        return np.asarray(image)

    def run(self, pixels: list[np.ndarray], cameras: list[str | None]) -> np.ndarray:
        """(N, D) unit length."""
        return np.stack([embedding(zlib.crc32(each.tobytes())) for each in pixels]) if pixels else np.empty((0, 4))


def embed_again(place: Path, begin: Begin) -> None:
    """Embed a gallery with another model, a few at a time."""
    with open_any(place) as gallery:
        begin()
        if gallery.bundle_id != OtherModel.manifest.bundle_id:
            reembed(gallery, cast(Any, OtherModel()), now, batch_size=4)


def open_any(place: Path) -> Gallery:
    """The gallery with whatever model answers."""
    with closing(sqlite3.connect(place / "gallery" / "gallery.db")) as connection:
        ((bundle_id,),) = connection.execute("SELECT bundle_id FROM gallery")
    return Gallery.open(place / "gallery", bundle_id=bundle_id, dimension=DIMENSION, index="exact")


def check_embedded(place: Path) -> None:
    """Every embedding is of the one model that answers."""
    with open_any(place) as gallery:
        ids = gallery.ids()
        assert ids == sorted(PREPARED.items)
        for item_id, found in zip(ids, gallery.embeddings(ids), strict=True):
            number = PREPARED.items[item_id].number
            assert np.array_equal(found, embedding_of(number, gallery.bundle_id))
            assert gallery.search(found[None], 1)[0][0].item.id == item_id


def embedding_of(number: int, bundle_id: str) -> np.ndarray:
    """Return the embedding of the image of this number."""
    if bundle_id == BUNDLE_ID:
        return embedding(number)
    model = OtherModel()
    return model.run([model.prepare(read_image(make_image(number)))], [None])[0]


def prepare_embedded(place: Path) -> None:
    """A gallery with embeddings of two models."""
    prepare(place)
    embed_again(place, nothing)


def drop_old(place: Path, begin: Begin) -> None:
    """Drop the embeddings of the model that does not answer any more."""
    with open_any(place) as gallery:
        begin()
        with gallery._store.database.reading() as connection:
            there = connection.exec_driver_sql("SELECT count(*) FROM generations WHERE id = 1").scalar_one()
        if there:
            drop_generation(gallery, 1)


# ---- around galleries


def galleries_in(place: Path) -> Galleries:
    """The galleries of a service."""
    return Galleries(place, partial(open_one), command="test").open_all()


def open_one(folder: Path) -> Gallery:
    """As a service opens one."""
    return Gallery.open(folder, bundle_id=BUNDLE_ID, dimension=DIMENSION, index="exact", load=False)


def drop(place: Path, begin: Begin) -> None:
    """DELETE /v1/galleries/gallery."""
    with galleries_in(place) as galleries:
        begin()
        if "gallery" in galleries.names():
            galleries.drop("gallery")


def check_galleries(place: Path) -> None:
    """Each is whole or gone, and a dropped one leaves nothing once the service has started again."""
    with galleries_in(place) as galleries:
        assert set(galleries.failures()) <= {"backups"}
        assert set(galleries.names()) == {path.name for path in place.iterdir()}
    if (place / "gallery").exists():
        check_is(place / "gallery", PREPARED)


def make_key(place: Path, begin: Begin) -> None:
    """The first API key."""
    begin()
    with closing(AccessDatabase(place)) as database:
        KeyStore(database, now).create("gate", ["read"])


def check_keys(place: Path) -> None:
    """The file is whole: keys exist or they do not."""
    keys_exist(place)
    with closing(AccessDatabase(place)) as database:
        assert len(KeyStore(database, now).list()) in (0, 1, 2)


def repeated(act: Callable[[Path, Begin], object]) -> Callable[[Path, Any], object]:
    """The same once more."""
    return lambda place, found: act(place, nothing)


SCENARIOS: dict[str, Scenario] = {
    **{
        operation.kind: Scenario(prepare, partial(operate, operation), partial(check_operated, operation), add_after)
        for operation in OPERATIONS
    },
    "create": Scenario(lambda place: None, create, lambda place: None, repeated(create)),
    "restore to a new folder": Scenario(prepare, restore_new, check_restored, repeated(restore_new)),
    "reembed": Scenario(prepare, embed_again, check_embedded, repeated(embed_again)),
    "drop generation": Scenario(prepare_embedded, drop_old, check_embedded, repeated(drop_old)),
    "drop in a service": Scenario(prepare, drop, check_galleries, repeated(drop)),
    "first key": Scenario(lambda place: None, make_key, check_keys, repeated(make_key)),
}
