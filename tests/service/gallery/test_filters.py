"""A filter means the same as SQL, as a mask, and as a slow loop over items."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from vitreid.service.errors import BadParameter
from vitreid.service.gallery import EVERYTHING, Filter, Gallery, Item, Quality
from vitreid.service.gallery.rows.conditions import as_text

START = datetime(2026, 11, 20, tzinfo=UTC)
VALUES = [None, True, False, 0, 1, 2.0, 2.5, "1", "north", "북", ["1"], {"a": 1}]


def slow(item: Item, where: Filter) -> bool:
    taken = item.captured_at
    return all(
        [
            where.cameras is None or item.camera_id in where.cameras,
            item.camera_id not in where.exclude_cameras,
            where.since is None or (taken is not None and taken >= where.since),
            where.until is None or (taken is not None and taken < where.until),
            where.person_id in (None, item.person_id),
            where.track_id in (None, item.track_id),
            all(key in item.metadata and equal(item.metadata[key], value) for key, value in where.metadata.items()),
            all(item.quality and within(getattr(item.quality, name), *each) for name, each in where.quality.items()),
            item.id not in where.exclude_ids,
        ]
    )


def equal(found: object, value: object) -> bool:
    return isinstance(found, bool) is isinstance(value, bool) and found == value


def within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def some(choose: random.Random) -> dict[str, Any]:
    """Labels of an item; each may be unknown."""
    quality = Quality(choose.randrange(1, 9), choose.randrange(1, 9), choose.random(), 0.5, 0.25)
    return {
        "camera_id": choose.choice([None, "c1", "c2", "c3"]),
        "person_id": choose.choice([None, "7", "8"]),
        "track_id": choose.choice([None, "t1", "t2"]),
        "captured_at": choose.choice([None, START + timedelta(seconds=choose.randrange(100), microseconds=1)]),
        "quality": choose.choice([None, quality, quality, quality]),
        "metadata": {key: choose.choice(VALUES) for key in ("door", "tag") if choose.random() < 0.7},
    }


def filters(choose: random.Random) -> Filter:
    conditions: dict[str, Any] = {
        "cameras": frozenset(choose.sample(["c1", "c2", "c3", "unheard of"], choose.randrange(4))),
        "exclude_cameras": frozenset(choose.sample(["c1", "c2", "unheard of"], choose.randrange(3))),
        "since": START + timedelta(seconds=choose.randrange(100)),
        "until": START.astimezone(timezone(timedelta(hours=9))) + timedelta(seconds=choose.randrange(100)),
        "person_id": choose.choice(["7", "8", "unheard of"]),
        "track_id": choose.choice(["t1", "t2"]),
        "metadata": {"door": choose.choice([value for value in VALUES if not isinstance(value, list | dict)])},
        "quality": {choose.choice(["aspect", "sharpness"]): choose.choice([(0.5, None), (None, 1.0), (0.2, 2.0)])},
        "exclude_ids": frozenset(choose.sample(range(1, 90), 5)),
    }
    return Filter(**{name: conditions[name] for name in choose.sample(list(conditions), choose.randrange(1, 4))})


@pytest.fixture
def gallery(open_gallery, make_items) -> Iterator[Gallery]:
    choose = random.Random(0)
    with open_gallery(index="exact") as opened:
        opened.add([make_items(1, seed=number, **some(choose))[0] for number in range(80)])
        for item_id in (5, 17, 40):
            opened.delete(item_id)
        for item_id in (6, 18):
            labels = some(choose)
            opened.update(item_id, {name: labels[name] for name in ("camera_id", "captured_at", "metadata")})
        yield opened


@pytest.mark.slow
def test_rows_masks_and_a_loop_agree(gallery, make_items):
    every = gallery.items(limit=1000)
    query = make_items(1, seed=3)[0].embedding[None]
    sizes = set()
    for seed in range(300):
        where = filters(random.Random(seed))
        expected = [item.id for item in every if slow(item, where)]
        sizes.add(len(expected))
        assert gallery.ids(where) == expected, where
        assert gallery.count(where) == gallery._store.count(where) == len(expected), where
        assert [item.id for item in gallery.items(limit=1000, where=where)] == expected
        [found] = gallery.search(query, 1000, where=where)
        assert sorted(match.item.id for match in found) == expected, where
        [best] = gallery.search(query, 3, where=where)
        assert best == found[:3]
    assert {0, 1} < sizes
    assert max(sizes) > 60


def test_labels_changed_later_count_at_once(gallery, make_items):
    query = make_items(1, seed=3)[0].embedding[None]
    changed = gallery.update(1, {"camera_id": "new", "metadata": {"door": "new"}})
    assert changed == gallery.get(1)
    for where in (Filter(cameras=frozenset({"new"})), Filter(metadata={"door": "new"})):
        [[match]] = gallery.search(query, 9, where=where)
        assert match.item == changed
    gallery.update(1, {"camera_id": None, "person_id": "7"})
    assert gallery.search(query, 9, where=Filter(cameras=frozenset({"new"}))) == [[]]
    assert gallery.get(1).person_id == "7"
    assert len(gallery.search(query, 1000)[0]) == 77


def test_everything_lets_everything_through(gallery):
    assert len(gallery.ids(EVERYTHING)) == len(gallery) == gallery.count() == 77
    assert Filter() == EVERYTHING


def test_wrong_conditions_are_reported():
    with pytest.raises(BadParameter, match="unknown quality 'beauty': choose of height, width, aspect"):
        Filter(quality={"beauty": (0, 1)})
    with pytest.raises(BadParameter, match="2026-11-20T00:00:00 has no time zone"):
        Filter(since=datetime(2026, 11, 20))  # a time without a zone is what is tested


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), (-0.0, "0"), (True, "true"), (None, "null"), (0.5, "0.5"), ("1", '"1"'), ("북", '"북"')],
)
def test_equal_values_have_one_text(value, text):
    assert as_text(value) == text
