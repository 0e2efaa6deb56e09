"""Answers against slow loops over all items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitreid.service.api.params import SearchParams
from vitreid.service.errors import BadParameter
from vitreid.service.gallery import Gallery, Item
from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.search import Query, SearchRequest, SearchResult, search

from .conftest import ITEMS, MORNING, unit_rows

Every = list[tuple[Item, np.ndarray]]
QUERY = unit_rows(1, seed=2)[0]
LABELS: dict[str, Callable[[Item], str | None]] = {
    "person": lambda item: item.person_id,
    "track": lambda item: item.track_id,
    "camera": lambda item: item.camera_id,
}
quiet = settings(
    deadline=None, derandomize=True, database=None, max_examples=60, suppress_health_check=list(HealthCheck)
)


def slow(every: Every, query: np.ndarray, passes: Callable[[Item], bool]) -> list[tuple[Item, float]]:
    """All items that pass, best first."""
    scored = [(item, float(np.dot(row, query))) for item, row in every if passes(item)]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].id))


def slow_groups(ranking: list[tuple[Item, float]], group_by: str) -> list[tuple[int, str | None, int]]:
    """(id of the best item, label, number of items) of each group, best first."""
    groups: list[tuple[int, str | None, int]] = []
    for item, _ in ranking:
        label = LABELS[group_by](item)
        if label is None:
            groups.append((item.id, None, 1))
        elif label not in [known for _, known, _ in groups]:
            groups.append((item.id, label, sum(LABELS[group_by](other) == label for other, _ in ranking)))
    return groups


def ids(found: SearchResult) -> list[int]:
    return [each.match.item.id for each in found.candidates]


def at(item: Item, minutes: int) -> bool:
    return item.captured_at is not None and item.captured_at >= MORNING + timedelta(minutes=minutes)


CONDITIONS: dict[str, tuple[dict[str, Any], Callable[[Item], bool]]] = {
    "nothing": ({}, lambda item: True),
    "cameras": ({"cameras": ["c1", "c3"]}, lambda item: item.camera_id in {"c1", "c3"}),
    "exclude_cameras": ({"exclude_cameras": ["c2"]}, lambda item: item.camera_id != "c2"),
    "exclude_same_camera": ({"exclude_same_camera": True}, lambda item: item.camera_id != "c1"),
    "since": ({"since": MORNING + timedelta(minutes=30)}, lambda item: at(item, 30)),
    "until": (
        {"until": MORNING + timedelta(minutes=30)},
        lambda item: item.captured_at is not None and not at(item, 30),
    ),
    "person": ({"person_id": "p3"}, lambda item: item.person_id == "p3"),
    "track": ({"track_id": "t4"}, lambda item: item.track_id == "t4"),
    "a number": ({"metadata": '{"gate": 3}'}, lambda item: item.metadata.get("gate") == 3),
    "a text": ({"metadata": '{"gate": "3"}'}, lambda item: item.metadata.get("gate") == "3"),
    "two keys": ({"metadata": '{"gate": 3, "open": true}'}, lambda item: item.metadata.get("open") is True),
    "null": ({"metadata": '{"open": null}'}, lambda item: item.metadata == {"open": None}),
    "min_height": ({"min_height": 65}, lambda item: item.quality is not None and item.quality.height >= 65),
    "max_height": ({"max_height": 64}, lambda item: item.quality is not None and item.quality.height <= 64),
    "min_width": ({"min_width": 64}, lambda item: item.quality is not None and item.quality.width >= 64),
    "max_width": ({"max_width": 63}, lambda item: item.quality is not None and item.quality.width <= 63),
    "min_aspect": ({"min_aspect": 2.5}, lambda item: False),
    "max_aspect": ({"max_aspect": 2}, lambda item: item.quality is not None),
    "min_sharpness": ({"min_sharpness": 41}, lambda item: item.quality is not None and item.quality.sharpness >= 41),
    "max_sharpness": ({"max_sharpness": 41}, lambda item: item.quality is not None and item.quality.sharpness <= 41),
    "min_brightness": (
        {"min_brightness": 0.5},
        lambda item: item.quality is not None and item.quality.brightness >= 0.5,
    ),
    "max_brightness": (
        {"max_brightness": 0.4},
        lambda item: item.quality is not None and item.quality.brightness <= 0.4,
    ),
    "min_outside": ({"min_outside": 0.1}, lambda item: item.quality is not None and item.quality.outside >= 0.1),
    "max_outside": ({"max_outside": 0.1}, lambda item: item.quality is not None and item.quality.outside <= 0.1),
    "all at once": (
        {"cameras": ["c1", "c2"], "since": MORNING, "max_outside": 0, "metadata": '{"gate": 3}'},
        lambda item: (
            item.camera_id in {"c1", "c2"}
            and at(item, 0)
            and item.quality is not None
            and item.quality.outside == 0
            and item.metadata.get("gate") == 3
        ),
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition(gallery: Gallery, every: Every, name: str) -> None:
    given_values, passes = CONDITIONS[name]
    expected = slow(every, QUERY, passes)
    assert len(expected) > 0 or name == "min_aspect"
    for k in (1, 3, ITEMS):
        found = search(gallery, Query(QUERY, camera_ids=("c1",)), SearchParams(k=k, **given_values).request())
        assert ids(found) == [item.id for item, _ in expected[:k]]
        assert [each.match.score for each in found.candidates] == pytest.approx([s for _, s in expected[:k]], abs=1e-6)
        assert (found.searched, found.gallery_size) == (len(expected), ITEMS)
        assert {each.group_size for each in found.candidates} <= {1}


def test_every_parameter_of_a_filter_is_tried() -> None:
    tried = {name for values, _ in CONDITIONS.values() for name in values}
    how = {"k", "min_score", "min_probability", "group_by", "expand", "rerank", "rerank_top", "gallery"}
    how |= {"rerank_k1", "rerank_k2", "rerank_lambda"}
    assert tried | how == set(SearchParams.model_fields)


filters = st.builds(
    Filter,
    cameras=st.none() | st.frozensets(st.sampled_from(["c1", "c2", "c3"])),
    exclude_cameras=st.frozensets(st.sampled_from(["c1", "c2", "elsewhere"]), max_size=2),
    person_id=st.none() | st.sampled_from(["p1", "p2", "nobody"]),
    exclude_ids=st.frozensets(st.integers(1, ITEMS), max_size=ITEMS),
).filter(lambda where: not where.exclude_cameras & (where.cameras or frozenset()))


def passes_filter(where: Filter) -> Callable[[Item], bool]:
    return lambda item: (
        (where.cameras is None or item.camera_id in where.cameras)
        and item.camera_id not in where.exclude_cameras
        and (where.person_id is None or item.person_id == where.person_id)
        and item.id not in where.exclude_ids
    )


@quiet
@given(where=filters, k=st.integers(1, ITEMS + 5), group_by=st.sampled_from(sorted(LABELS)), seed=st.integers(0, 9))
def test_groups_are_those_of_slow_grouping(
    gallery: Gallery, every: Every, where: Filter, k: int, group_by: Any, seed: int
) -> None:
    query = unit_rows(1, seed=100 + seed)[0]
    expected = slow_groups(slow(every, query, passes_filter(where)), group_by)
    found = search(gallery, Query(query), SearchRequest(k=k, where=where, group_by=group_by))
    groups = [(each.match.item.id, each.label, each.group_size) for each in found.candidates]
    assert groups == expected[:k]


@quiet
@given(
    where=filters, k=st.integers(1, 30), min_score=st.floats(-1, 1), rerank=st.sampled_from(["none", "k-reciprocal"])
)
def test_k_come_back_whenever_k_exist(
    gallery: Gallery, every: Every, where: Filter, k: int, min_score: float, rerank: Any
) -> None:
    ranking = slow(every, QUERY, passes_filter(where))
    found = search(gallery, Query(QUERY), SearchRequest(k=k, where=where, min_score=min_score, rerank=rerank))
    above = [item.id for item, score in ranking if score >= min_score]
    assert len(found.candidates) == min(k, len(above))
    assert set(ids(found)) <= set(above)
    assert found.best_score == (pytest.approx(ranking[0][1], abs=1e-6) if ranking else None)
    reason = None if above else "below-min-score" if ranking else "nothing-passed-the-filter"
    assert found.no_match == reason


def test_reranking_only_changes_the_order(gallery: Gallery) -> None:
    plain = search(gallery, Query(QUERY), SearchRequest(k=ITEMS))
    found = search(gallery, Query(QUERY), SearchRequest(k=ITEMS, rerank="k-reciprocal", rerank_top=50))
    assert sorted(ids(found)) == sorted(ids(plain))
    assert {e.match.item.id: e.match.score for e in found.candidates} == {
        e.match.item.id: e.match.score for e in plain.candidates
    }
    distances = [each.rerank_distance for each in found.candidates]
    assert distances[:50] == sorted(distances[:50])
    assert distances[50:] == [None] * (ITEMS - 50)
    assert set(ids(found)[:50]) == set(ids(plain)[:50])
    assert ids(found)[50:] == ids(plain)[50:]
    assert ids(found) != ids(plain)


def test_the_numbers_of_reranking_can_be_said(gallery: Gallery) -> None:
    published = search(gallery, Query(QUERY), SearchRequest(k=ITEMS, rerank="k-reciprocal"))
    same = SearchRequest(k=ITEMS, rerank="k-reciprocal", rerank_k1=20, rerank_k2=6, rerank_lambda=0.3)
    assert ids(search(gallery, Query(QUERY), same)) == ids(published)
    plain = search(gallery, Query(QUERY), SearchRequest(k=ITEMS, rerank="k-reciprocal", rerank_lambda=1))
    assert ids(plain) == ids(search(gallery, Query(QUERY), SearchRequest(k=ITEMS)))  # the original distance alone
    other = search(gallery, Query(QUERY), SearchRequest(k=ITEMS, rerank="k-reciprocal", rerank_k1=3, rerank_k2=1))
    assert ids(other) != ids(published)


def test_few_are_the_best_of_many_after_reranking(gallery: Gallery) -> None:
    many = search(gallery, Query(QUERY), SearchRequest(k=ITEMS, rerank="k-reciprocal", rerank_top=40))
    few = search(gallery, Query(QUERY), SearchRequest(k=5, rerank="k-reciprocal", rerank_top=40))
    assert ids(few) == ids(many)[:5]


def test_groups_can_be_reranked(gallery: Gallery) -> None:
    plain = search(gallery, Query(QUERY), SearchRequest(k=100, group_by="track"))
    found = search(gallery, Query(QUERY), SearchRequest(k=100, group_by="track", rerank="k-reciprocal"))
    assert sorted(ids(found)) == sorted(ids(plain))
    sizes = {each.match.item.id: each.group_size for each in plain.candidates}
    assert {each.match.item.id: each.group_size for each in found.candidates} == sizes


def test_expansion_is_a_second_search_with_the_mean(gallery: Gallery, every: Every) -> None:
    where = Filter(cameras=frozenset(["c1", "c2"]))
    ranking = slow(every, QUERY, passes_filter(where))
    rows = {item.id: row for item, row in every}
    mean = np.mean([QUERY, *(rows[item.id] for item, _ in ranking[:3])], axis=0)
    mean /= np.linalg.norm(mean)
    found = search(gallery, Query(QUERY), SearchRequest(k=20, where=where, expand=3))
    expected = slow(every, mean, passes_filter(where))[:20]
    assert ids(found) == [item.id for item, _ in expected]
    assert [each.match.score for each in found.candidates] == pytest.approx([s for _, s in expected], abs=1e-6)


def test_expansion_leaves_out_what_is_too_different(gallery: Gallery) -> None:
    assert ids(search(gallery, Query(QUERY), SearchRequest(k=9, expand=5, min_score=0.9999))) == []
    second = search(gallery, Query(QUERY), SearchRequest()).candidates[1].match.score
    one = search(gallery, Query(QUERY), SearchRequest(k=3, expand=5, min_score=second + 1e-4))
    assert ids(one)[0] == ids(search(gallery, Query(QUERY), SearchRequest(k=1, expand=1)))[0]


def test_an_item_deleted_between_two_reads(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = search(gallery, Query(QUERY), SearchRequest(rerank="k-reciprocal"))
    calls: list[int] = []
    stored = Gallery.embeddings

    def gone_at_first(self: Gallery, wanted: list[int]) -> np.ndarray:
        calls.append(len(wanted))
        if len(calls) < 3:
            raise ItemNotFound("no item 5 in this gallery")
        return stored(self, wanted)

    monkeypatch.setattr(Gallery, "embeddings", gone_at_first)
    assert ids(search(gallery, Query(QUERY), SearchRequest(rerank="k-reciprocal"))) == ids(expected)
    assert len(calls) == 3


def test_only_visible_items_count(gallery: Gallery, every: Every) -> None:
    visible = frozenset(["c1"])
    count = sum(item.camera_id == "c1" for item, _ in every)
    found = search(gallery, Query(QUERY), SearchRequest(), restrict=lambda where: replace(where, cameras=visible))
    assert (found.searched, found.gallery_size) == (count, count)
    nothing = search(gallery, Query(QUERY), SearchRequest(), restrict=lambda where: replace(where, cameras=frozenset()))
    assert nothing.no_match == "empty-gallery"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rerank_top": 20}, "without rerank"),
        ({"cameras": ["c1"], "exclude_cameras": ["c1"]}, "'c1' is both included and excluded"),
        ({"cameras": ["c1"], "exclude_same_camera": True}, "'c1' is both included and excluded"),
        ({"since": MORNING, "until": MORNING}, "not before until"),
        ({"min_width": 3, "max_width": 2}, "min_width 3 is greater"),
    ],
)
def test_contradictions(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        SearchParams(**values).request().filter_for(["c1"])


def test_the_same_camera_must_be_known() -> None:
    with pytest.raises(BadParameter, match="give camera_id"):
        SearchParams(exclude_same_camera=True).request().filter_for([None])


def test_a_plain_request_searches_everything() -> None:
    request = SearchParams().request()
    assert request == SearchRequest(k=10)
    assert request.filter_for([None]) == EVERYTHING
    assert replace(request, rerank="k-reciprocal").depth == 100
