"""Purging: the raw bytes of every file of a gallery are searched for what was erased."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.service.db import sqlite
from vitreid.service.gallery import NewItem
from vitreid.service.gallery.errors import GalleryBusy, GalleryDamaged, GalleryFull
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.maintenance.purging import purge, unpurged
from vitreid.service.gallery.rows.database import STAGING
from vitreid.service.gallery.snapshots.snapshot import snapshots

NOW = datetime(2036, 11, 20, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOW


def traces_of(item: NewItem) -> dict[str, bytes]:
    """Bytes of an item that could lie in a file, in pieces so short that no page boundary hides all of them."""
    vector = np.asarray(item.embedding, dtype="<f4")
    return {
        "embedding": vector.tobytes(),
        "half of the embedding": vector.tobytes()[:32],
        "fp16 embedding": vector.astype("<f2").tobytes(),
        "image": item.image[:48],
        "end of the image": item.image[-48:],
        "hash": item.image_hash.encode(),
        "person_id": item.person_id.encode(),
        "track_id": item.track_id.encode(),
        "camera_id": item.camera_id.encode(),
        "source": item.source.encode(),
        "metadata key": b"secret-key",
        "metadata value": json.dumps(item.metadata["secret-key"]).encode()[1:-1],
        "nested metadata": b"deep inside",
        "captured_at": b"1999-12-31T23:59",
    }


def found(folder: Path, traces: dict[str, bytes]) -> set[str]:
    content = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return {name for name, trace in traces.items() if trace in content}


@pytest.fixture
def secret(make_items):
    def make(seed: int) -> NewItem:
        [item] = make_items(
            1,
            seed=seed,
            person_id=f"Person of Interest {seed}",
            camera_id=f"camera behind the door {seed}",
            track_id=f"track across the yard {seed}",
            source=f"folder/with/a/name/{seed}.jpg",
            captured_at=datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
            metadata={"secret-key": f"value that nobody may read {seed}", "list": [{"deep inside": seed}]},
        )
        return item

    return make


@pytest.fixture(params=["exact", "flat", "ivf"])
def gallery(request, open_gallery, make_items):
    with open_gallery(index=request.param) as opened:
        opened.add(make_items(300, person_id="kept person"))
        yield opened


def test_nothing_of_an_erased_item_is_left_in_any_file(gallery, secret, make_items):
    gallery.acquire_maintenance_lock("test")
    item = secret(1)
    traces = traces_of(item)
    gallery.add([item])
    gallery.add(make_items(100, seed=2))
    gallery.refresh()
    gallery.write_snapshot()
    gallery.update(301, {"person_id": "another name for a while"})
    gallery.write_snapshot()
    for leftover in ("a", "b"):  # of processes that were killed
        (gallery.folder / f"{STAGING}{leftover}").mkdir()
        (gallery.folder / f"{STAGING}{leftover}" / "gallery.db").write_bytes(traces["image"])
    assert {"embedding", "image", "hash", "person_id", "metadata value"} <= found(gallery.folder, traces)
    assert len(snapshots(gallery.folder)) == 2

    receipt = gallery.erase(gallery.ids(Filter(person_id="another name for a while")))
    assert unpurged(gallery) == receipt.seq
    assert purge(gallery, clock)

    traces["an older label"] = b"another name for a while"
    assert found(gallery.folder, traces) == set()
    assert found(gallery.folder, {"kept": b"kept person"}) == {"kept"}
    assert unpurged(gallery) is None
    done = gallery.receipt(receipt.id)
    assert (done.purged_at, done.remaining) == (NOW, ())
    # and what is kept is whole
    assert len(snapshots(gallery.folder)) == 1
    assert len(gallery) == 400
    query = gallery.embeddings([7])
    assert gallery.search(query, 5)[0][0].item.id == 7


def test_a_reopened_gallery_still_finds_the_rest_by_its_snapshot(gallery, secret, open_gallery):
    gallery.acquire_maintenance_lock("test")
    gallery.add([secret(1)])
    gallery.refresh()
    gallery.write_snapshot()
    gallery.erase([301])
    purge(gallery, clock)
    index = gallery.info().index
    query = gallery.embeddings([9])
    gallery.close()
    with open_gallery(index=index) as again:
        ranking = [match.item.id for match in again.search(query, 400)[0]]
    assert ranking[0] == 9
    assert 301 not in ranking


def test_many_items_between_others_leave_nothing(open_gallery, make_items, secret):
    """Deleted rows that share pages with others, so that pages are merged and their content moves."""
    with open_gallery(index="exact") as gallery:
        secrets = [secret(seed) for seed in range(1, 60)]
        for number, item in enumerate(secrets):
            gallery.add([item, *make_items(3, seed=1000 + number)])
        gallery.erase(gallery.ids_by_hash({item.image_hash: None for item in secrets}).values())
        purge(gallery, clock)
        for item in secrets:
            assert found(gallery.folder, traces_of(item)) == set()
        assert len(gallery) == 3 * len(secrets)


def test_nothing_is_rewritten_where_nothing_was_deleted(open_gallery, make_items, monkeypatch):
    with open_gallery() as gallery:
        gallery.add(make_items(3))
        monkeypatch.setattr(gallery._store.database, "vacuum", None)
        assert purge(gallery, clock)


def test_a_purge_that_is_cancelled_is_done_again(open_gallery, make_items, secret, monkeypatch):
    monkeypatch.setattr(sqlite, "STEPS_BETWEEN_CALLS", 1)
    with open_gallery(index="exact") as gallery:
        gallery.add([secret(1), *make_items(50)])
        receipt = gallery.erase([1])
        assert not purge(gallery, clock, cancelled=lambda: True)
        assert gallery.receipt(receipt.id).purged_at is None
        assert len(gallery) == 50
        assert purge(gallery, clock)
        assert found(gallery.folder, traces_of(secret(1))) == set()


def test_a_reader_that_does_not_end_is_reported(open_gallery, make_items, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(5))
        receipt = gallery.erase([1])
        with gallery._store.database.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM items").all()
            with pytest.raises(GalleryBusy, match="while somebody reads it"):
                purge(gallery, clock)
        assert gallery.receipt(receipt.id).purged_at is None
        assert purge(gallery, clock)


@pytest.mark.parametrize("step", ["replace_snapshots", "vacuum", "truncate_log"])
def test_a_purge_that_fails_in_the_middle_claims_nothing(step, open_gallery, make_items, monkeypatch):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(5))
        receipt = gallery.erase([1])

        def full(*_: Any) -> None:
            raise GalleryFull("no space")

        with monkeypatch.context() as patched:
            patched.setattr(gallery if step == "replace_snapshots" else gallery._store.database, step, full)
            with pytest.raises(GalleryFull):
                purge(gallery, clock)
        assert gallery.receipt(receipt.id).purged_at is None
        assert purge(gallery, clock)
        assert gallery.receipt(receipt.id).purged_at == NOW


def test_additions_during_a_purge_wait_and_are_kept(open_gallery, make_items):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(2000))
        gallery.erase(list(range(1, 1000)))
        threads = [
            threading.Thread(target=gallery.add, args=(make_items(1, seed=100 + number),)) for number in range(8)
        ]
        for thread in threads:
            thread.start()
        assert purge(gallery, clock)
        for thread in threads:
            thread.join()
        assert len(gallery) == 2000 - 999 + 8
        assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 5000)[0]) == len(gallery)


def test_a_gallery_that_cannot_be_loaded_is_purged_all_the_same(open_gallery, make_items, secret):
    with open_gallery(index="exact") as gallery:
        gallery.add([secret(1), *make_items(20)])
        gallery.write_snapshot()
        gallery.erase([1])
        with gallery._store.database.writing() as connection:
            connection.exec_driver_sql("UPDATE items SET seq = seq + 1000 WHERE id = 7")
            connection.exec_driver_sql("UPDATE gallery SET last_seq = last_seq + 2000")
            connection.exec_driver_sql("UPDATE embeddings_1 SET checksum = 0 WHERE item_id = 7")
    with open_gallery(index="exact", load=False) as damaged:
        with pytest.raises(GalleryDamaged):
            damaged.refresh()
        assert purge(damaged, clock)
        assert found(damaged.folder, traces_of(secret(1))) == set()
        assert snapshots(damaged.folder) == []
