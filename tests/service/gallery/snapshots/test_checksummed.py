"""A sealed description is read as it was written, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import AwareDatetime, ValidationError

from vitreid.service.gallery.snapshots.checksummed import Checksummed


class Note(Checksummed):
    at: AwareDatetime
    count: int
    facts: dict[str, int]


NOTE = Note(at=datetime(2026, 5, 1, 9, 30, tzinfo=UTC), count=40, facts={"a": 1}).with_checksum()
TEXT = NOTE.model_dump_json(indent=2)


def test_it_comes_back_as_it_was_written() -> None:
    assert Note.model_validate_json(TEXT) == NOTE == NOTE.with_checksum()


def test_no_flipped_bit_is_believed() -> None:
    content = TEXT.encode()
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            try:
                found = Note.model_validate_json(bytes(flipped))
            except ValidationError:
                continue
            assert found.model_copy(update={"checksum": NOTE.checksum}) == NOTE, flipped


def test_what_was_changed_is_reported() -> None:
    with pytest.raises(ValidationError, match="it is not what was written"):
        Note.model_validate_json(TEXT.replace("40", "41"))
