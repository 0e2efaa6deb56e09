"""The log: what is kept, for how long, and how it is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from vitreid.service.access.audit import AuditFilter, AuditLog, Entry, json_lines
from vitreid.service.access.database import AccessDatabase, audit, keys
from vitreid.service.access.errors import AccessUnusable
from vitreid.service.access.keys import KeyStore


@pytest.fixture
def log(database: AccessDatabase, clock: Any) -> AuditLog:
    return AuditLog(database, days=30, now=clock)


def rows(log: AuditLog, asked: AuditFilter = AuditFilter()) -> list[Any]:  # noqa: B008 - a frozen value
    return list(log.every(asked))


def test_a_row_comes_back_as_it_was_recorded(log: AuditLog, clock: Any) -> None:
    log.record(Entry("query", "gate", "abcdefgh", "r1", "192.0.2.7", "default", [3, 1], "p 2", 200))
    [row] = rows(log)
    assert (row.id, row.at, row.action, row.name, row.key_id) == (1, clock.now, "query", "gate", "abcdefgh")
    assert (row.request_id, row.address, row.gallery) == ("r1", "192.0.2.7", "default")
    assert (row.items, row.person_id, row.status) == ([3, 1], "p 2", 200)


def test_there_is_no_place_for_images_or_embeddings() -> None:
    assert {column.name for column in audit.columns} == {
        "id", "at", "request_id", "key_id", "name", "address", "action", "gallery", "items", "person_id", "status",
    }  # fmt: skip


def test_rows_are_found_by_time_key_and_action(log: AuditLog, clock: Any) -> None:
    for hour in range(6):
        log.record(Entry(["query", "add", "erase"][hour % 3], key_id=["a", "b"][hour % 2]))
        clock.move(hours=1)
    start = clock.now - timedelta(hours=6)
    assert [row.id for row in rows(log, AuditFilter(since=start + timedelta(hours=2)))] == [3, 4, 5, 6]
    assert [row.id for row in rows(log, AuditFilter(until=start + timedelta(hours=2)))] == [1, 2]
    assert [row.id for row in rows(log, AuditFilter(key_id="a"))] == [1, 3, 5]
    assert [row.id for row in rows(log, AuditFilter(action="erase"))] == [3, 6]
    assert [row.id for row in rows(log, AuditFilter(key_id="b", action="add"))] == [2]


def test_pages_follow_each_other(log: AuditLog) -> None:
    for _ in range(1100):
        log.record(Entry("query"))
    assert [row.id for row in log.page(AuditFilter(), after=2, limit=3)] == [3, 4, 5]
    assert [row.id for row in rows(log)] == list(range(1, 1101))


def test_old_rows_go_at_the_first_record_after_an_hour(log: AuditLog, clock: Any) -> None:
    log.record(Entry("query"))
    clock.move(days=29)
    log.record(Entry("query"))
    assert len(rows(log)) == 2
    clock.move(days=1, seconds=1)
    log.record(Entry("query"))
    assert [row.id for row in rows(log)] == [2, 3]  # an id is never given again


def test_a_clock_that_jumps_back_stops_neither_log_nor_pruning(log: AuditLog, clock: Any) -> None:
    log.record(Entry("query"))
    clock.move(days=40)
    log.record(Entry("query"))
    assert [row.id for row in rows(log)] == [2]
    clock.move(days=-80)
    log.record(Entry("query"))
    clock.move(days=71)  # the row of the time that was wrong is 31 days old
    log.record(Entry("query"))
    assert [row.id for row in rows(log)] == [2, 4]


def test_lines_are_json_with_times_in_utc(log: AuditLog) -> None:
    log.record(Entry("erase", items=[1, 2], person_id="a\nb"))
    [line] = json_lines(log.every(AuditFilter()))
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "id": 1, "at": "2026-05-01T00:00:00Z", "request_id": None, "key_id": None, "name": "command line",
        "address": None, "action": "erase", "gallery": None, "items": [1, 2], "person_id": "a\nb", "status": None,
    }  # fmt: skip


def test_the_use_of_a_key_is_noted_to_the_hour(log: AuditLog, database: AccessDatabase, clock: Any) -> None:
    key, _ = KeyStore(database, clock).create("a", ["read"])

    def noted() -> datetime:
        with database.reading() as connection:
            found: datetime = connection.execute(select(keys.c.last_used_at)).scalar_one()
        return found

    log.note_use(key.id)
    assert noted() == datetime(2026, 5, 1, tzinfo=UTC)
    clock.move(minutes=59)
    log.note_use(key.id)
    assert noted() == datetime(2026, 5, 1, tzinfo=UTC)
    clock.move(minutes=1)
    log.note_use(key.id)
    assert noted() == datetime(2026, 5, 1, 1, tzinfo=UTC)


def test_a_full_disk_is_reported(database: AccessDatabase, log: AuditLog) -> None:
    database.write_quickly("PRAGMA max_page_count = 10")
    with pytest.raises(AccessUnusable, match=r"access\.db cannot be used \(database or disk is full\)"):
        for _ in range(100):
            log.record(Entry("query", items=list(range(1000))))


def test_erasures_are_on_disk_and_queries_may_wait(
    database: AccessDatabase, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record(Entry("query"))
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL

    def refused(*_: Any) -> None:
        raise AccessUnusable("not on disk")

    monkeypatch.setattr(AccessDatabase, "write_quickly", refused)
    for action in ("erase", "erase-person", "key-create", "key-revoke", "gallery-drop"):
        log.record(Entry(action))
    with pytest.raises(AccessUnusable):
        log.record(Entry("query"))


def look(log: AuditLog, item: int, key: str = "a", gallery: str = "default", status: int = 200) -> None:
    log.record(Entry("view-image", key, key, f"r{item}", None, gallery, [item], None, status))


def test_a_page_of_images_is_one_row_of_who_saw_what(log: AuditLog, clock: Any) -> None:
    begun = clock.now
    for item in range(1, 41):
        look(log, item)
        clock.move(seconds=1)
    look(log, 41, status=404)
    found = rows(log)
    assert [(row.id, row.items, row.status) for row in found] == [(1, list(range(1, 41)), 200), (2, [41], 404)]
    assert (found[0].at, found[0].request_id, found[0].key_id, found[0].gallery) == (begun, "r1", "a", "default")


def test_a_row_of_images_is_of_one_key_one_gallery_and_one_minute(log: AuditLog, clock: Any) -> None:
    for item in (1, 2):
        look(log, item)
        look(log, item, key="b")
        look(log, item, gallery="night")
    clock.move(seconds=61)
    look(log, 3)
    found = [(row.key_id, row.gallery, row.items) for row in rows(log)]
    assert found == [
        ("a", "default", [1, 2]),
        ("b", "default", [1, 2]),
        ("a", "night", [1, 2]),
        ("a", "default", [3]),
    ]


def test_a_row_of_images_has_an_end(log: AuditLog) -> None:
    for item in range(250):
        look(log, item)
    assert [len(row.items) for row in rows(log)] == [100, 100, 50]


def test_a_row_that_was_read_is_not_added_to(log: AuditLog) -> None:
    look(log, 1)
    assert [row.items for row in rows(log)] == [[1]]
    look(log, 2)
    look(log, 3)
    assert [row.items for row in log.page(AuditFilter(), after=1)] == [[2, 3]]


def test_what_was_seen_is_there_after_a_kill(log: AuditLog, database: AccessDatabase) -> None:
    """Nothing waits in memory: another connection sees each item at once."""
    for item in (1, 2, 3):
        look(log, item)
        assert database.look_up("SELECT items FROM audit") == [(json.dumps(list(range(1, item + 1))).replace(" ", ""),)]
