"""Schemas in words and as examples."""

from __future__ import annotations

import pytest

from vitreid.service.api.openapi.reference import Schema, sample, type_text

NAMED: dict[str, Schema] = {
    "Item": {
        "properties": {"id": {"type": "integer", "examples": [17]}, "track_id": {"type": "string"}},
        "required": ["id", "track_id"],
    }
}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"$ref": "#/components/schemas/Item"}, "[Item](#item)"),
        ({"type": "integer", "minimum": 1, "maximum": 10}, "integer ≥ 1 ≤ 10"),
        ({"type": "number", "exclusiveMinimum": 0.0, "exclusiveMaximum": 0.5}, "number > 0 < 0.5"),
        ({"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "integer ≥ 0"),
        ({"type": "string", "maxLength": 128}, "string of at most 128"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "string", "format": "binary"}, "file"),
        ({"enum": ["item", "track"]}, '`"item"` or `"track"`'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "string or integer"),
        ({"type": "array", "items": {"$ref": "#/x/Item"}, "maxItems": 8}, "list of [Item](#item) (at most 8)"),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 4}, "list of 4 number"),
        ({"type": "array", "items": {}}, "list of anything"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({"type": "object", "additionalProperties": True}, "object"),
        ({}, "anything"),
    ],
)
def test_types_in_words(schema: Schema, text: str) -> None:
    assert type_text(schema) == text


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#/components/schemas/Item"}, {"id": 17, "track_id": "..."}),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Item"}}, [{"id": 17, "track_id": "..."}]),
        ({"type": "integer", "examples": [None]}, None),
        ({"type": "string", "example": "a", "default": "b"}, "a"),
        ({"type": "string", "default": "b"}, "b"),
        ({"const": "c"}, "c"),
        ({"enum": ["item", "track"]}, "item"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 1.0),
        ({"type": "string", "format": "date-time"}, "2026-05-01T09:30:00Z"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "integer"}]}, [1.0, 1]),
        ({"type": "object", "additionalProperties": True}, {}),
    ],
)
def test_samples(schema: Schema, value: object) -> None:
    assert sample(schema, NAMED) == value


def test_what_may_be_left_out_is_not_shown_unless_it_has_an_example() -> None:
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    schema = {"properties": {"a": nullable, "b": nullable, "c": {**nullable, "examples": ["x"]}}, "required": ["b"]}
    assert sample(schema, {}) == {"a": None, "b": "...", "c": "x"}
