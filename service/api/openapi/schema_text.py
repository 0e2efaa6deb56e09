"""JSON schemas for people: a type in a few words, and a value that fits it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

LARGEST_SHOWN = 2**53  # beyond, a limit only says what a computer can hold
LIMITS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
SAMPLES: dict[str, object] = {
    "date-time": "2026-05-01T09:30:00Z",
    "binary": "...",
    "string": "...",
    "integer": 1,
    "number": 1.0,
    "boolean": False,
    "object": {},
    "null": None,
}


def type_text(schema: Schema) -> str:
    """A short name of a schema's type with its limits; those that have a name of their own are linked."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(type_text(part) for part in parts)
    if choices := schema.get("enum"):
        return " or ".join(value_text(choice) for choice in choices)
    kind = str(schema.get("format") or schema.get("type") or "anything")
    if kind == "binary":
        return "file"
    if kind == "array":
        return _list_text(schema)
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), Mapping):
        return f"object of {type_text(values)}"
    limits = [f"{sign} {_number(schema[key])}" for key, sign in LIMITS if abs(schema.get(key, 2**63)) < LARGEST_SHOWN]
    if "maxLength" in schema:
        limits.append(f"of at most {schema['maxLength']}")
    return " ".join([kind, *limits])


def sample(schema: Schema, named: Mapping[str, Schema]) -> object:
    """A value of this schema, made of its examples; `named` are the schemas that references lead to."""
    if "$ref" in schema:
        return sample(named[schema["$ref"].rpartition("/")[2]], named)
    if "examples" in schema:
        return schema["examples"][0]
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return sample(parts[0], named)
    if choices := schema.get("enum"):
        return choices[0]
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        # What may be left out and has no example is one of several possibilities: none of them is told.
        return {
            name: None
            if name not in required and _may_be_null(part) and "examples" not in part
            else sample(part, named)
            for name, part in properties.items()
        }
    if schema.get("type") == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return [sample(part, named) for part in parts]
    return SAMPLES[str(schema.get("format") or schema.get("type") or "string")]


def value_text(value: object) -> str:
    """A value as code."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _list_text(schema: Schema) -> str:
    if parts := schema.get("prefixItems"):
        kinds = {type_text(part) for part in parts}
        return f"list of {len(parts)} {' or '.join(sorted(kinds))}"
    limit = f" (at most {schema['maxItems']})" if "maxItems" in schema else ""
    return f"list of {type_text(schema.get('items', {}))}{limit}"


def _number(value: float) -> str:
    return f"{value:.15g}"


def _may_be_null(schema: Schema) -> bool:
    return any(part.get("type") == "null" for part in schema.get("anyOf", ()))
