"""Labels from names of files and folders."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.name_pattern import NameLabel, NamePattern

NIGHT = datetime(2026, 5, 1, 22, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "path", "labels"),
    [
        ("{camera}_{time:%Y-%m-%d_%H-%M-%S}_*", "gate_2026-05-01_22-30-15_7.jpg", NameLabel(None, "gate", None, NIGHT)),
        ("{camera}_{time:%Y-%m-%d_%H-%M-%S}_...", "h_2_2026-05-01_22-30-15_.png", NameLabel(None, "h_2", None, NIGHT)),
        ("{camera}/{time:%Y%m%d}/{track}_{time:%H%M%S}", "g/20260501/t7_223015.jpg", NameLabel(None, "g", "t7", NIGHT)),
        ("{camera}/*", "north/gate/1.jpg", NameLabel(None, "gate")),
        ("{person}/{camera_id}-*", "anna/c3-0001.jpeg", NameLabel("anna", "c3")),
        ("{time:%Y-%m-%dT%H%M%S%z}_{camera}", "2026-05-02T003015+0200_gate.jpg", NameLabel(None, "gate", None, NIGHT)),
        ("{person}_*", "0000_1.jpg", NameLabel()),
        ("{camera}.v2", "gate.v2.jpg", NameLabel(None, "gate")),
    ],
)  # fmt: skip
def test_labels_in_names(pattern: str, path: str, labels: NameLabel) -> None:
    assert NamePattern.parse(pattern).read(path) == labels


def test_times_are_in_the_given_zone_or_in_utc() -> None:
    text = "{camera}_{time:%Y-%m-%d_%H-%M-%S}"
    assert NamePattern.parse(text).assumes_utc
    for zone in ("Europe/Berlin", "+02:00"):
        pattern = NamePattern.parse(text, zone)
        assert not pattern.assumes_utc
        label = pattern.read("gate_2026-05-02_00-30-15.jpg")
        assert label is not None
        assert label.captured_at == NIGHT


def test_names_that_do_not_match_are_counted() -> None:
    pattern = NamePattern.parse("{camera}_{time:%Y-%m-%d}")
    paths = ["gate_2026-05-01.jpg", "gate_2026-02-30.jpg", "holiday.jpg", "gate_20260501.jpg", "_2026-05-01.jpg"]
    with pytest.raises(NamePatternError, match=r"^4 of 5 names do not follow .*'gate_2026-02-30.jpg'; change"):
        pattern.read_all(paths)
    assert NamePattern.parse("{camera}/*").read("a.jpg") is None


@pytest.mark.parametrize(
    ("pattern", "zone", "reason"),
    [
        ("*.jpg", None, "has no field"),
        ("{cam}_*", None, r"has '\{cam\}'; fields are"),
        ("{camera", None, r"has '\{'"),
        ("{camera}_{camera}", None, "twice"),
        ("{camera}{person}", None, "two fields without text between"),
        ("{time}", None, "a time without a format"),
        ("{time:%Y-%m-%d}/{camera}_{time:%Y-%m-%d_%H}", None, r"has %Y twice; name it once, and \*"),
        ("{time:%Q}", None, "%Q in a time; a format has %Y"),
        ("{time:%H-%M}", None, "without a day"),
        ("{camera}", "UTC", "has no {time:FORMAT}, so a time zone"),
        ("{time:%Y%m%d%z}", "UTC", "has its offset in %z"),
        ("{time:%Y%m%d}", "Mars/Base", "no time zone 'Mars/Base'"),
    ],
)
def test_invalid_patterns(pattern: str, zone: str | None, reason: str) -> None:
    with pytest.raises(NamePatternError, match=reason) as caught:
        NamePattern.parse(pattern, zone)
    assert "\n" not in str(caught.value)
