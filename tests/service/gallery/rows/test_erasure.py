"""Erasure: one transaction, a receipt that names nobody, and what may still hold the items."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import ErasureNotFound, ItemNotFound
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.rows.erasure import mark_purged, unpurged_seq
from vitreid.service.gallery.rows.tables import (
    backups,
    deletions,
    embeddings_of,
    generations,
    images,
    item_metadata,
    items,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def gallery(open_gallery, make_items):
    with open_gallery() as opened:
        opened.add(make_items(6, person_id="anna", metadata={"note": "red coat"}))
        opened.add(make_items(4, seed=1, person_id="bert", image=None))
        yield opened


def test_an_erasure_takes_all_rows_of_its_items_and_no_others(gallery):
    receipt = gallery.erase([2, 3, 8])
    assert (receipt.items, receipt.images, receipt.item_ids) == (3, 2, (2, 3, 8))
    assert receipt.requested_at <= receipt.unsearchable_at
    assert receipt.purged_at is None
    kept = [1, 4, 5, 6, 7, 9, 10]
    with gallery._store.database.reading() as connection:
        assert list(connection.execute(select(items.c.id).order_by(items.c.id)).scalars()) == kept
        for table in (embeddings_of(1), images, item_metadata):
            assert not {2, 3, 8} & set(connection.execute(select(table.c.item_id)).scalars())
        gone = connection.execute(deletions.select().order_by(deletions.c.seq)).all()
    assert [row.item_id for row in gone] == [2, 3, 8]
    assert receipt.seq == gone[-1].seq == 13


def test_what_is_erased_is_in_no_answer_once_the_call_returns(gallery):
    queries = gallery.embeddings([2, 8])
    assert {match.item.id for match in gallery.search(queries, 10)[0]} == set(range(1, 11))
    gallery.erase([2, 8])
    for ranking in gallery.search(queries, 10):
        assert sorted(match.item.id for match in ranking) == [1, 3, 4, 5, 6, 7, 9, 10]
    with pytest.raises(ItemNotFound):
        gallery.get(2)


def test_embeddings_of_every_generation_go(gallery):
    with gallery._store.database.writing() as connection:
        connection.execute(
            generations.insert().values(id=2, bundle_id="b" * 64, dimension=4, state="kept", created_at=NOON)
        )
        embeddings_of(2).create(connection)
        rows = [{"item_id": number, "embedding": b"1234", "checksum": 0} for number in range(1, 11)]
        connection.execute(embeddings_of(2).insert(), rows)
    gallery.erase(gallery.ids(Filter(person_id="anna")))
    with gallery._store.database.reading() as connection:
        assert set(connection.execute(select(embeddings_of(2).c.item_id)).scalars()) == {7, 8, 9, 10}


def test_items_that_are_gone_already_are_passed_over(gallery):
    gallery.delete(2)
    assert gallery.erase([2, 3, 3, 999]).item_ids == (3,)
    with pytest.raises(ItemNotFound, match="none of the 2 items"):
        gallery.erase([2, 999])
    with pytest.raises(BadParameter, match="at least one"):
        gallery.erase([])
    assert len(gallery.receipts()) == 1


def test_the_receipt_names_nothing_but_ids(gallery):
    receipt = gallery.erase(gallery.ids(Filter(person_id="anna")), reason="asked", requested_by="operator")
    shown = repr(receipt)
    assert "anna" not in shown
    assert "red coat" not in shown
    assert (receipt.reason, receipt.requested_by) == ("asked", "operator")


def test_receipts_come_newest_first_and_in_pages(gallery):
    ids = [gallery.erase([number]).id for number in (1, 2, 3)]
    first = gallery.receipts(limit=2)
    assert [receipt.id for receipt in first] == [ids[2], ids[1]]
    assert [receipt.id for receipt in gallery.receipts(before=first[-1].seq)] == [ids[0]]
    assert gallery.receipt(ids[1]) == first[1]
    with pytest.raises(ErasureNotFound, match="nothing"):
        gallery.receipt("nothing")


def test_a_receipt_lists_what_may_still_hold_the_items(gallery):
    with gallery._store.database.writing() as connection:
        for name, seq, purged in (("before", 10, None), ("after", 11, None), ("dropped", 10, NOON)):
            row = {"id": name, "created_at": NOON, "seq": seq, "place": f"/backups/{name}", "purged_at": purged}
            connection.execute(backups.insert().values(**row))
    (gallery.folder / "snapshots" / "snapshot-000001").mkdir(parents=True)
    receipt = gallery.erase([4])
    assert [(each.kind, each.id) for each in receipt.remaining] == [
        ("database", "gallery.db"),
        ("snapshot", "snapshot-000001"),
        ("backup", "before"),
    ]
    with gallery._store.database.writing() as connection:
        mark_purged(connection, receipt.seq, NOON + timedelta(days=400))
    purged = gallery.receipt(receipt.id)
    assert purged.purged_at == NOON + timedelta(days=400)
    assert [each.place for each in purged.remaining] == ["/backups/before"]


def test_purges_count_up_to_their_seq_and_never_backwards(gallery):
    first, second = gallery.erase([1]), gallery.erase([2])
    with gallery._store.database.writing() as connection:
        assert unpurged_seq(connection) == second.seq
        mark_purged(connection, first.seq, NOON)
        assert unpurged_seq(connection) == second.seq
        mark_purged(connection, second.seq, NOON)
        mark_purged(connection, first.seq, NOON)
        assert unpurged_seq(connection) is None
    # NOON lies before the erasure, as after a clock was set back: a receipt stays in order.
    for receipt in gallery.receipts():
        assert receipt.purged_at == receipt.unsearchable_at


def test_an_erasure_that_fails_in_the_middle_erased_nothing(gallery, monkeypatch):

    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("vitreid.service.gallery.rows.erasure.erasures.insert", full)
    with pytest.raises(MemoryError):
        gallery.erase([1, 2])
    assert len(gallery) == 10
    assert len(gallery.search(np.eye(1, 16, dtype=np.float32), 20)[0]) == 10
    assert gallery.receipts() == []
