from __future__ import annotations

import pytest

from vitreid.bundle import parse_market_name


@pytest.mark.parametrize(
    ("name", "person", "camera"),
    [
        ("0002_c1s1_000451_03.jpg", "0002", "c1"),
        ("1501_c6s4_001902_01.jpg", "1501", "c6"),
        ("0001_c15_000000.png", "0001", "c15"),
        ("0000_c2s1_000151_01.jpg", None, "c2"),
        ("-1_c3s2_000001_00.jpg", None, "c3"),
    ],
)
def test_names(name: str, person: str | None, camera: str) -> None:
    parsed = parse_market_name(name)
    assert parsed is not None
    assert (parsed.person_id, parsed.camera_id) == (person, camera)


def test_junk_and_distractors_differ() -> None:
    junk, nobody = parse_market_name("-1_c1s1_000001_00.jpg"), parse_market_name("0000_c1s1_000001_00.jpg")
    assert junk is not None
    assert nobody is not None
    assert (junk.junk, junk.distractor) == (True, False)
    assert (nobody.junk, nobody.distractor) == (False, True)


@pytest.mark.parametrize("name", ["holiday.jpg", "c1s1_0002.jpg", "0002-c1.jpg", ""])
def test_other_schemes(name: str) -> None:
    assert parse_market_name(name) is None
