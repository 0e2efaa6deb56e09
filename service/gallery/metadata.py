"""The metadata of an item: a small JSON object of the caller's own, whatever door it came in by."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator, JsonValue

from vitreid.service.values.texts import metadata_fault

MAX_BYTES = 16 * 1024
"""Of one item's metadata as JSON."""
MAX_KEYS = 64
MAX_DEPTH = 32
"""Of objects and lists in each other: what writes answers goes no deeper than some hundreds."""


def check_metadata(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The metadata itself. Raises ValueError where it is larger than an item may have, or no JSON."""
    if len(metadata) > MAX_KEYS:
        raise ValueError(f"has {len(metadata):,} keys; an item's metadata has at most {MAX_KEYS}")
    if (depth := _depth(metadata)) > MAX_DEPTH:
        raise ValueError(f"has {depth} levels of objects and lists; an item's metadata has at most {MAX_DEPTH}")
    if (fault := metadata_fault(metadata)) is not None:
        raise ValueError(fault)
    size = len(json.dumps(metadata, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_BYTES:
        raise ValueError(f"has {size:,} bytes as JSON; an item's metadata has at most {MAX_BYTES:,}")
    return metadata


def _depth(metadata: JsonValue) -> int:
    depth, level = 0, [metadata]
    while level := [each for each in level if isinstance(each, dict | list)]:
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth


Metadata = Annotated[dict[str, JsonValue], AfterValidator(check_metadata)]
