"""Searches that share a pass, an index that is rebuilt beside the one that answers, and models that never mix."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vitreid.service.gallery import EVERYTHING, Filter, Gallery
from vitreid.service.gallery.errors import BundleMismatch, GalleryNotFound
from vitreid.service.gallery.rows.database import create_database
from vitreid.service.gallery.rows.store import Store
from vitreid.service.gallery.view.search_view import SearchView
from vitreid.service.indexes import INDEXES

QUERY = np.eye(1, 16, dtype=np.float32)


def ids(gallery: Gallery, k: int = 1000, where: Filter = EVERYTHING) -> list[int]:
    return [match.item.id for match in gallery.search(QUERY, k, where=where)[0]]


def test_waiting_searches_share_one_pass(open_gallery, make_items, monkeypatch):
    new = make_items(30)
    passes: list[tuple[int, int, Filter]] = []
    first_runs, go_on = threading.Event(), threading.Event()
    search = SearchView.search

    def watched(self, embeddings, k, where, store):
        passes.append((len(embeddings), k, where))
        first_runs.set()
        assert go_on.wait(30)
        return search(self, embeddings, k, where, store)

    with open_gallery(index="exact") as gallery:
        gallery.add([replace(item, camera_id=f"c{number % 2}") for number, item in enumerate(new)])
        monkeypatch.setattr(SearchView, "search", watched)
        answers: dict[int, list[int]] = {}

        def ask(number: int) -> None:
            where = Filter(cameras=frozenset({"c1"})) if number % 2 else EVERYTHING
            [matches] = gallery.search(new[number].embedding[None], 1 + number % 3, where=where)
            answers[number] = [match.item.id for match in matches]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(9)]
        threads[0].start()
        assert first_runs.wait(30)
        for thread in threads[1:]:
            thread.start()
        while len(gallery._live._waiting) < 8:
            threading.Event().wait(0.001)
        go_on.set()
        for thread in threads:
            thread.join()
    assert sorted(count for count, _, _ in passes) == [1, 4, 4]
    assert len({where.cameras for _, _, where in passes}) == 2
    for number, found in answers.items():
        assert found[0] == number + 1
        assert len(found) == 1 + number % 3


def test_a_search_that_fails_does_not_take_others_with_it(open_gallery, make_items, monkeypatch):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(3))
        calls = iter([MemoryError, None])
        search = SearchView.search

        def fails_once(self, *arguments):
            if (error := next(calls)) is not None:
                raise error
            return search(self, *arguments)

        monkeypatch.setattr(SearchView, "search", fails_once)
        with pytest.raises(MemoryError):
            ids(gallery)
        assert len(ids(gallery)) == 3


def test_every_index_gives_the_scores_of_exact(open_gallery, make_items, tmp_path):
    new = make_items(300)
    expected = None
    for name in sorted(set(INDEXES) - {"gpu"}, key=lambda name: name != "exact"):
        with open_gallery(tmp_path / name, index=name) as gallery:
            gallery.add(new)
            found = [[match.score for match in each] for each in gallery.search(QUERY, 10)]
            expected = expected or found
            assert np.allclose(found, expected, atol=2e-6), name


def test_a_rebuild_takes_in_what_comes_meanwhile(open_gallery, make_items, monkeypatch):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(20))
        assert len(ids(gallery)) == 20
        changes = Store.changes
        reads = 0

        def busy(self, after):
            nonlocal reads
            reads += 1
            if reads < 5:  # between any two reads somebody adds, changes and deletes
                gallery.add(make_items(3, seed=reads, camera_id="c2"))
                gallery.delete(reads)
                gallery.update(reads + 10, {"camera_id": "c3"})
            return changes(self, after)

        old = gallery._live.view
        with monkeypatch.context() as patch:
            patch.setattr(Store, "changes", busy)
            patch.setattr("vitreid.service.gallery.rows.changes.ROWS_AT_ONCE", 4)
            gallery.rebuild_index()
        assert gallery._live.view is not old
        for where in (EVERYTHING, *(Filter(cameras=frozenset({camera})) for camera in ("c1", "c2", "c3"))):
            assert sorted(ids(gallery, where=where)) == gallery.ids(where)
        assert reads >= 5


def test_a_rebuild_that_fails_leaves_the_old_index(open_gallery, make_items, monkeypatch):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(5))
        found = ids(gallery)
        with monkeypatch.context() as patch:
            patch.setattr(INDEXES["exact"], "build", classmethod(lambda *arguments: 1 / 0))
            with pytest.raises(ZeroDivisionError):
                gallery.rebuild_index()
        assert ids(gallery) == found


def test_growing_past_a_step_swaps_the_kind(open_gallery, make_items, monkeypatch):
    kinds = {True: ("flat", "few"), False: ("ivf", "many")}
    monkeypatch.setattr(
        "vitreid.service.gallery.live_view.choose_index", lambda size, dimension, current: kinds[size < 10]
    )
    with open_gallery() as gallery:
        gallery.add(make_items(9))
        assert len(ids(gallery)) == 9
        gallery.rebuild_index(only_if_due=True)
        assert (gallery.info().index, gallery.info().index_reason) == ("flat", "few")
        gallery.add(make_items(1, seed=1))
        assert len(ids(gallery)) == 10
        assert (gallery.info().index, gallery.info().index_reason) == ("flat", "until ivf is built: many")
        gallery.rebuild_index(only_if_due=True)
        assert (gallery.info().index, gallery.info().index_reason) == ("ivf", "many")
        assert len(ids(gallery)) == 10
        view = gallery._live.view
        gallery.rebuild_index(only_if_due=True)
        assert gallery._live.view is view
        gallery.write_snapshot()
    with open_gallery() as gallery:
        assert gallery.info().index == "ivf"
    with open_gallery(index="exact") as gallery:  # another kind than the snapshot's: from the rows
        assert (gallery.info().index, gallery.info().index_reason) == ("exact", "it is configured")
        assert len(ids(gallery)) == 10


def test_slots_of_removed_items_are_given_back(open_gallery, make_items, monkeypatch):
    monkeypatch.setattr("vitreid.service.gallery.live_view.SPARE_SLOTS", 10)
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(40))
        assert len(ids(gallery)) == 40
        for item_id in range(1, 31):
            gallery.delete(item_id)
        gallery.refresh()
        assert gallery._live.view.columns.slots == 40
        gallery.rebuild_index(only_if_due=True)
        columns = gallery._live.view.columns
        assert (columns.base, columns.slots) == (31, 10)
        assert sorted(ids(gallery)) == list(range(31, 41))
        for item_id in range(31, 41):
            gallery.delete(item_id)
        gallery.rebuild_index()
        gallery.add(make_items(2, seed=1))
        assert (sorted(ids(gallery)), gallery._live.view.columns.base) == ([41, 42], 41)


def test_nothing_is_loaded_before_it_is_needed(open_gallery, make_items):
    with open_gallery(load=False) as gallery:
        gallery.add(make_items(3))
        gallery.delete(1)
        gallery.rebuild_index(only_if_due=True)
        gallery.write_snapshot(only_if_due=True)
        assert not gallery.loaded
        assert gallery.info().index == "flat"
        gallery.refresh()
        assert gallery.loaded
    with pytest.raises(GalleryNotFound, match="was closed"):
        ids(gallery)


def test_another_model_ends_the_answers_of_the_old_one(open_gallery, make_items):
    from vitreid.service.gallery.rows.tables import gallery as header

    with open_gallery() as gallery:
        gallery.add(make_items(3))
        assert len(ids(gallery)) == 3
        with gallery._store.database.writing() as connection:
            connection.execute(header.update().values(generation=2, bundle_id="b" * 64, last_seq=4))
        for call in (lambda: ids(gallery), lambda: gallery.add(make_items(1, seed=1)), lambda: gallery.delete(1)):
            with pytest.raises(BundleMismatch, match="embedded again"):
                call()


def test_times_never_go_back(tmp_path, make_items):
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    create_database(tmp_path / "gallery", bundle_id="a" * 64, dimension=16)
    clock = iter([noon, noon - timedelta(days=1), noon - timedelta(hours=1), noon + timedelta(hours=1)])
    for number in range(4):  # each in a store of its own: what counts is in the gallery
        store = Store.open(tmp_path / "gallery")
        store.clock = lambda: next(clock)
        if number == 0:
            with store.database.writing() as connection:
                connection.exec_driver_sql("UPDATE gallery SET last_at = '2026-11-19T00:00:00.000000Z'")
        store.add(make_items(1, seed=number))
        if number == 1:
            assert store.items_of([2])[2].created_at == noon
        assert store.items_of([number + 1])[number + 1].created_at == max(noon, noon + timedelta(hours=number - 2))
        store.close()
