"""Manifests with a checksum of themselves: a flipped digit is noticed."""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Checksummed(BaseModel):
    """A manifest that is written with a hash of its other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    checksum: str = ""
    """SHA-256 of the other fields as JSON; empty before it is written."""

    def with_checksum(self) -> Self:
        """Return the manifest ready to be written."""
        return self.model_copy(update={"checksum": self._hash()})

    @model_validator(mode="after")
    def _unchanged(self) -> Self:
        if self.checksum and self.checksum != self._hash():
            raise ValueError("it is not what was written")
        return self

    def _hash(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"checksum"}).encode()).hexdigest()
