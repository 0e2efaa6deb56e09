"""Filters as SQL, and the rows that metadata is found by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Float, Select, and_, cast, or_, select

from vitreid.service.db.sqlite import among
from vitreid.service.gallery.filters import Filter, Scalar
from vitreid.service.gallery.rows.tables import item_metadata, items

QUALITY_COLUMNS: dict[str, ColumnElement[Any]] = {
    "height": items.c.height,
    "width": items.c.width,
    "aspect": cast(items.c.height, Float) / items.c.width,
    "sharpness": items.c.sharpness,
    "brightness": items.c.brightness,
    "outside": items.c.outside,
}


def conditions(where: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions on a row of `items`."""
    return [
        *([items.c.camera_id.in_(sorted(where.cameras))] if where.cameras is not None else []),
        *_unless_empty(where.exclude_cameras),
        *([items.c.captured_at >= where.since] if where.since else []),
        *([items.c.captured_at < where.until] if where.until else []),
        *([items.c.person_id == where.person_id] if where.person_id is not None else []),
        *([items.c.track_id == where.track_id] if where.track_id is not None else []),
        *(items.c.id.in_(with_metadata(key, value)) for key, value in where.metadata.items()),
        *(_within(QUALITY_COLUMNS[name], *limits) for name, limits in where.quality.items()),
        *([items.c.id.not_in(among(where.exclude_ids))] if where.exclude_ids else []),
    ]


def with_metadata(key: str, value: Scalar) -> Select[Any]:
    """Select the ids of items whose metadata has this value."""
    return select(item_metadata.c.item_id).where(item_metadata.c.key == key, item_metadata.c.value == as_text(value))


def metadata_rows(item_id: int, metadata: Mapping[str, JsonValue]) -> list[tuple[str, str, int]]:
    """Return the rows of `item_metadata` for one item: key, value and item_id per top-level scalar."""
    return [(key, as_text(value), item_id) for key, value in metadata.items() if not isinstance(value, dict | list)]


def as_text(value: Scalar) -> str:
    """Return JSON text, the same for equal values: a whole number is written without a point."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return json.dumps(int(value) if whole else value, ensure_ascii=False)  # type: ignore[arg-type]  # whole: a float


def _unless_empty(cameras: frozenset[str]) -> list[ColumnElement[bool]]:
    if not cameras:
        return []
    return [or_(items.c.camera_id.is_(None), items.c.camera_id.not_in(sorted(cameras)))]


def _within(column: ColumnElement[Any], low: float | None, high: float | None) -> ColumnElement[bool]:
    return and_(
        column.is_not(None),
        *([column >= low] if low is not None else []),
        *([column <= high] if high is not None else []),
    )
