"""Conditions in an address become a filter, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from vitreid.service.api.params import FilterParams
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.items import QUALITIES


def test_no_condition_lets_everything_through() -> None:
    assert FilterParams().where() == EVERYTHING


def test_each_condition_reaches_the_filter() -> None:
    params = FilterParams.model_validate(
        {
            "cameras": ["c1", "c2"],
            "exclude_cameras": ["c3"],
            "since": "2026-05-01T09:30:00+02:00",
            "until": "2026-05-02T00:00:00Z",
            "person_id": "anna",
            "track_id": "7",
            "metadata": '{"lamp": true, "n": 3, "share": 0.5, "note": null, "door": "n"}',
            "min_height": 64,
            "max_outside": 0.25,
            "min_aspect": 1,
            "max_aspect": 4,
        }
    )
    found = params.where(exclude_ids=[3, 4])
    assert found == Filter(
        cameras=frozenset({"c1", "c2"}),
        exclude_cameras=frozenset({"c3"}),
        since=datetime(2026, 5, 1, 7, 30, tzinfo=UTC),
        until=datetime(2026, 5, 2, tzinfo=UTC),
        person_id="anna",
        track_id="7",
        metadata={"lamp": True, "n": 3, "share": 0.5, "note": None, "door": "n"},
        quality={"height": (64, None), "aspect": (1, 4), "outside": (None, 0.25)},
        exclude_ids=frozenset({3, 4}),
    )
    assert found.metadata["lamp"] is True
    assert isinstance(found.metadata["n"], int)


@pytest.mark.parametrize("name", QUALITIES)
def test_every_quality_has_a_least_and_a_most(name: str) -> None:
    params = FilterParams.model_validate({f"min_{name}": 0.25, f"max_{name}": 0.75})
    assert params.where().quality == {name: (0.25, 0.75)}


@pytest.mark.parametrize(
    "params",
    [
        {"camera": "c1"},
        {"cameras": [""]},
        {"cameras": ["c"] * 257},
        {"since": "2026-05-01T09:30:00"},
        {"since": "yesterday"},
        {"person_id": "a\x00"},
        {"metadata": "lamp"},
        {"metadata": "[1]"},
        {"metadata": '{"a": [1]}'},
        {"metadata": '{"a": NaN}'},
        {"min_height": "nan"},
        {"max_width": "inf"},
    ],
)
def test_what_no_condition_can_be_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FilterParams.model_validate(params)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"since": "2026-05-02T00:00:00Z", "until": "2026-05-01T00:00:00Z"}, "is not before"),
        ({"min_height": 64, "max_height": 63}, "min_height 64 is greater than max_height 63"),
    ],
)
def test_what_nothing_can_fulfil_is_reported(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        FilterParams.model_validate(params).where()
