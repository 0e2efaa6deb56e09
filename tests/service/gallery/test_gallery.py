"""A gallery's answers, against a dict and a slow loop."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from vitreid.service.errors import BadParameter, EmbeddingRejected, UnknownName
from vitreid.service.gallery import AddResult, Filter, Gallery
from vitreid.service.gallery.errors import GalleryNotFound, ItemNotFound
from vitreid.service.indexes import INDEXES

QUERY = np.eye(1, 16, dtype=np.float32)


def slow_search(known: dict[int, np.ndarray], query: np.ndarray, k: int) -> list[tuple[int, float]]:
    left = {item_id: float(np.dot(query.astype(np.float64), row)) for item_id, row in known.items()}
    answers: list[tuple[int, float]] = []
    while left:
        best = max(left.values())
        equal = sorted(item_id for item_id, score in left.items() if best - score <= 1e-6)
        answers += [(item_id, left.pop(item_id)) for item_id in equal]
    return answers[:k]


def found(gallery: Gallery, query: np.ndarray, k: int) -> list[Any]:
    [matches] = gallery.search(query[None], k)
    return [(match.item.id, pytest.approx(match.score, abs=2e-6)) for match in matches]


@pytest.mark.slow
@pytest.mark.parametrize("index", sorted(INDEXES))
def test_random_additions_deletions_and_reopenings_equal_a_dict(index, open_gallery, make_items):
    random = np.random.default_rng(3)
    known: dict[int, np.ndarray] = {}
    gallery = open_gallery(index=index)
    for step in range(40):
        action = random.integers(4)
        if action == 0 and known:
            gone = int(random.choice(list(known)))
            gallery.delete(gone)
            del known[gone]
        elif action == 1:
            gallery.close()
            gallery = open_gallery(index=index)
        else:
            new = make_items(int(random.integers(1, 9)), seed=step)
            results = gallery.add(new)
            known |= {result.id: item.embedding for result, item in zip(results, new, strict=True)}
        query = make_items(1, seed=1000 + step)[0].embedding
        k = int(random.integers(1, 60))
        assert len(gallery) == len(known)
        assert found(gallery, query, k) == slow_search(known, query, k)
    gallery.close()


def test_an_item_comes_back_as_it_was_given(open_gallery, make_items):
    new = make_items(
        1,
        person_id="7",
        track_id="t1",
        captured_at=datetime(2026, 11, 20, 9, tzinfo=timezone(timedelta(hours=9))),
        box=(1.5, 2.0, 30.0, 60.0),
        source="카메라/a.jpg",
        metadata={"door": "north", "tags": [1, None, {"a": 0.5}]},
    )[0]
    with open_gallery() as gallery:
        [added] = gallery.add([new])
        item = gallery.get(added.id)
        assert gallery.image(item.id) == new.image
    assert (item.id, item.seq, item.has_image) == (1, 1, True)
    assert item.captured_at == datetime(2026, 11, 20, 0, tzinfo=UTC)
    assert item.captured_at.utcoffset() == timedelta(0)
    for name in ("image_hash", "camera_id", "person_id", "track_id", "box", "source", "metadata"):
        assert getattr(item, name) == getattr(new, name)


def test_the_same_hash_is_the_same_item(open_gallery, make_items):
    first, second = make_items(2)
    with open_gallery() as gallery:
        assert gallery.add([first, replace(first, person_id="other")]) == [AddResult(1, False), AddResult(1, True)]
        assert gallery.add([second, first]) == [AddResult(2, False), AddResult(1, True)]
        assert gallery.get(1).person_id is None
        assert gallery.ids_by_hash({first.image_hash: None, "unknown": "c1"}) == {first.image_hash: 1}
        gallery.delete(1)
        assert gallery.add([first]) == [AddResult(3, False)]


def test_ids_and_seqs_are_never_used_again(open_gallery, make_items):
    with open_gallery() as gallery:
        gallery.add(make_items(3))
        gallery.delete(3)
    with open_gallery() as gallery:
        [added] = gallery.add(make_items(1, seed=1))
        assert added.id == 4
        assert gallery.get(4).seq == 5
        assert gallery.info().seq == 5


@pytest.mark.parametrize("index", sorted(INDEXES))
def test_equal_scores_are_ordered_by_id_also_at_the_border(index, open_gallery, make_items):
    other, *copies = make_items(41)
    copies = [replace(item, embedding=copies[0].embedding) for item in copies]
    with open_gallery(index=index) as gallery:
        gallery.add([*copies, other])
        assert [pair[0] for pair in found(gallery, copies[0].embedding, 3)] == [1, 2, 3]
        assert [pair[0] for pair in found(gallery, copies[0].embedding, 40)] == list(range(1, 41))
        gallery.delete(2)
        [matches] = gallery.search(copies[0].embedding[None], 3)
    assert [match.item.id for match in matches] == [1, 3, 4]
    assert len({match.score for match in matches}) == 1


def test_k_beyond_the_gallery_gives_everything_and_an_empty_gallery_nothing(open_gallery, make_items):
    with open_gallery() as gallery:
        assert gallery.search(QUERY, 5) == [[]]
        gallery.add(make_items(3))
        assert [len(matches) for matches in gallery.search(np.repeat(QUERY, 2, axis=0), 100)] == [3, 3]
        assert gallery.search(np.empty((0, 16), np.float32), 5) == []


def test_min_score_drops_what_is_below_it(open_gallery, make_items):
    new = make_items(20)
    with open_gallery() as gallery:
        gallery.add(new)
        [every] = gallery.search(new[0].embedding[None], 20)
        [some] = gallery.search(new[0].embedding[None], 20, min_score=0.2)
    assert some == [match for match in every if match.score >= 0.2]
    assert 1 <= len(some) < 20


@pytest.mark.parametrize(
    ("embedding", "reason"),
    [
        (np.zeros(16), "length 0"),
        (np.full(16, np.nan), "not finite"),
        (np.full(16, np.inf), "not finite"),
        (np.full(16, 1e30), "length 4e"),
        (np.eye(1, 15)[0], r"shape \(15,\)"),
        (np.eye(1, 16), r"shape \(1, 16\)"),
        (np.eye(1, 16)[0] * 1.01, "length 1.01"),
    ],
)
def test_a_wrong_embedding_is_refused_and_nothing_added(embedding, reason, open_gallery, make_items):
    good = make_items(2)
    with open_gallery() as gallery:
        with pytest.raises(EmbeddingRejected, match=f"embedding 1 .*{reason}"):
            gallery.add([good[0], replace(good[1], embedding=embedding.astype(np.float32))])
        assert len(gallery) == 0


def test_wrong_queries_are_refused(open_gallery):
    with open_gallery() as gallery:
        with pytest.raises(BadParameter, match="k is 0"):
            gallery.search(QUERY, 0)
        with pytest.raises(EmbeddingRejected, match=r"\(16,\)"):
            gallery.search(QUERY[0], 1)
        with pytest.raises(EmbeddingRejected, match="length 2"):
            gallery.search(QUERY * 2, 1)


def test_unknown_items_are_reported(open_gallery, make_items):
    with open_gallery() as gallery:
        gallery.add(make_items(1, image=None))
        assert gallery.image(1) is None
        assert not gallery.get(1).has_image
        for call in (gallery.get, gallery.image, gallery.delete):
            with pytest.raises(ItemNotFound, match="no item 2"):
                call(2)


def test_items_are_listed_in_pages_and_by_label(open_gallery, make_items):
    with open_gallery() as gallery:
        gallery.add(make_items(3, camera_id="c1", person_id="1"))
        gallery.add(make_items(2, camera_id="c2", person_id="1", seed=1))
        gallery.add(make_items(1, camera_id=None, seed=2))
        assert [item.id for item in gallery.items(limit=2)] == [1, 2]
        assert [item.id for item in gallery.items(after=2)] == [3, 4, 5, 6]
        assert [item.id for item in gallery.items(where=Filter(cameras=frozenset({"c2"})))] == [4, 5]
        assert [item.id for item in gallery.items(3, 1, where=Filter(person_id="1"))] == [4]
        info = gallery.info()
    assert (info.items, info.images, info.persons, info.cameras) == (6, 6, 1, {"c1": 3, "c2": 2})
    assert (info.bundle_id, info.dimension, info.index) == ("a" * 64, 16, "flat")
    assert info.bytes > 4096


def test_opening_can_be_forbidden_to_make_a_gallery(open_gallery, tmp_path):
    with pytest.raises(GalleryNotFound, match="vitreid index"):
        open_gallery(create=False)
    with pytest.raises(UnknownName, match="unknown index 'best': choose one of exact, flat"):
        open_gallery(index="best")
    assert not (tmp_path / "gallery").exists()


def test_two_open_galleries_see_each_other(open_gallery, make_items):
    new = make_items(3)
    with open_gallery() as one, open_gallery(load=False) as other:
        one.add(new)
        assert [pair[0] for pair in found(other, new[1].embedding, 1)] == [2]
        other.delete(2)
        assert 2 not in [pair[0] for pair in found(one, new[1].embedding, 3)]


@pytest.mark.slow
def test_another_process_adds_while_this_one_searches(open_gallery, make_items, tmp_path):
    code = f"""
import numpy as np
from pathlib import Path
from vitreid.service.gallery import Gallery, NewItem
with Gallery.open(Path({str(tmp_path / "gallery")!r}), bundle_id="a" * 64, dimension=16, load=False) as gallery:
    gallery.add([NewItem(np.eye(1, 16, dtype=np.float32)[0], "made elsewhere")])
"""
    with open_gallery() as gallery:
        gallery.add(make_items(5))
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        [[match]] = gallery.search(QUERY, 1)
        assert match.item.image_hash == "made elsewhere"
        assert match.score == pytest.approx(1)


def test_searches_run_beside_a_writer(open_gallery, make_items):
    fixed = make_items(30, seed=99)
    failures: list[str] = []
    done = threading.Event()

    def search(gallery: Gallery) -> None:
        while not done.is_set():
            for place, item in enumerate(fixed):
                [matches] = gallery.search(item.embedding[None], 3)
                if matches[0].item.id != place + 1 or len(matches) != 3:
                    failures.append(f"{place}: {matches}")

    with open_gallery() as gallery:
        gallery.add(fixed)
        searchers = [threading.Thread(target=search, args=(gallery,)) for _ in range(3)]
        for searcher in searchers:
            searcher.start()
        try:
            for step in range(15):
                added = gallery.add(make_items(4, seed=step))
                gallery.delete(added[0].id)
        finally:
            done.set()
            for searcher in searchers:
                searcher.join()
        assert failures == []
        assert len(gallery) == 30 + 15 * 3


def test_a_replay_that_fails_half_way_is_repeated_from_the_start(open_gallery, make_items, monkeypatch):
    with open_gallery(index="exact") as gallery:
        gallery.add(make_items(10))
        index = gallery._live.view.index

        def add_half(ids, embeddings):
            type(index).add(index, ids[:5], embeddings[:5])
            raise MemoryError

        monkeypatch.setattr(index, "add", add_half)
        with pytest.raises(MemoryError):
            gallery.search(QUERY, 3)
        [matches] = gallery.search(QUERY, 100)
        assert sorted(match.item.id for match in matches) == list(range(1, 11))
