"""Retention: who is too old goes, by the right clock, and nobody goes early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.maintenance import retention
from vitreid.service.gallery.maintenance.retention import expire


@pytest.fixture
def gallery(open_gallery):
    with open_gallery() as opened:
        yield opened


def added(gallery, make_items, **captured: datetime | None) -> dict[str, int]:
    """Items by name; all are created now."""
    ids = {}
    for seed, (name, captured_at) in enumerate(captured.items()):
        [result] = gallery.add(make_items(1, seed=seed, captured_at=captured_at))
        ids[name] = result.id
    return ids


def test_age_counts_from_the_capture_but_never_from_after_the_addition(gallery, make_items):
    now = datetime.now(UTC)
    ids = added(
        gallery,
        make_items,
        old=now - timedelta(days=31),
        young=now - timedelta(days=29),
        untimed=None,
        future=now + timedelta(days=3650),
    )
    gallery.change_settings(retention_days=30)
    assert expire(gallery, now) == 1
    assert gallery.ids() == [ids["young"], ids["untimed"], ids["future"]]
    assert expire(gallery, now + timedelta(days=2)) == 1
    assert gallery.ids() == [ids["untimed"], ids["future"]]
    assert expire(gallery, now + timedelta(days=30, minutes=5)) == 2
    assert gallery.ids() == []


def test_the_limit_itself_is_kept(gallery, make_items):
    taken = datetime(2026, 1, 1, tzinfo=UTC)
    added(gallery, make_items, one=taken)
    gallery.change_settings(retention_days=10)
    assert expire(gallery, taken + timedelta(days=10)) == 0
    assert expire(gallery, taken + timedelta(days=10, microseconds=1)) == 1


def test_without_a_period_nothing_expires(gallery, make_items):
    added(gallery, make_items, one=datetime(1999, 1, 1, tzinfo=UTC))
    assert expire(gallery, datetime(9999, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize("days", [1e-9, 1e300, 5e8])
def test_any_allowed_period_is_understood(days, gallery, make_items):
    added(gallery, make_items, one=datetime(1999, 1, 1, tzinfo=UTC))
    gallery.change_settings(retention_days=days)
    assert expire(gallery, datetime.now(UTC)) == (1 if days < 1 else 0)


def test_a_clock_that_jumps_back_expires_nothing_early(gallery, make_items):
    now = datetime.now(UTC)
    added(gallery, make_items, one=now - timedelta(days=20), two=None)
    gallery.change_settings(retention_days=30)
    for jump in (timedelta(days=365), timedelta(days=365 * 500)):
        assert expire(gallery, now - jump) == 0
    assert expire(gallery, now) == 0
    assert expire(gallery, now + timedelta(days=11)) == 1


def test_an_item_added_while_the_clock_was_wrong_is_kept_its_whole_time(gallery, make_items):
    now = datetime.now(UTC)
    added(gallery, make_items, first=None)
    gallery._store.clock = lambda: datetime(1970, 1, 1, tzinfo=UTC)
    ids = added(gallery, lambda *_, **given: make_items(1, **given | {"seed": 77}), second=None)
    gallery._store.clock = lambda: datetime.now(UTC)
    assert gallery.get(ids["second"]).created_at >= now
    gallery.change_settings(retention_days=30)
    assert expire(gallery, now + timedelta(days=29)) == 0


def test_what_expires_has_receipts_like_any_erasure(gallery, make_items, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 4)
    gallery.add(make_items(10, captured_at=datetime(2020, 1, 1, tzinfo=UTC)))
    gallery.change_settings(retention_days=30)
    assert expire(gallery, datetime.now(UTC)) == 10
    receipts = gallery.receipts()
    assert [receipt.items for receipt in receipts] == [2, 4, 4]
    assert {receipt.reason for receipt in receipts} == {"retention"}


def test_somebody_who_erases_at_the_same_time_is_no_failure(gallery, make_items, monkeypatch):
    gallery.add(make_items(3, captured_at=datetime(2020, 1, 1, tzinfo=UTC)))
    gallery.change_settings(retention_days=30)
    erase = gallery.erase

    def after_a_rival(ids: list[int], **named: str) -> object:
        for item_id in ids:
            gallery.delete(item_id)
        return erase(ids, **named)

    monkeypatch.setattr(gallery, "erase", after_a_rival)
    assert expire(gallery, datetime.now(UTC)) == 0
    with pytest.raises(ItemNotFound):
        gallery.get(1)
