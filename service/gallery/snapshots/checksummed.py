"""Descriptions on disk that tell when a byte of them was changed: a flipped digit would be believed otherwise."""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Sealed(BaseModel):
    """A description that is written with a hash of all that it says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seal: str = ""
    """SHA-256 of the other fields as JSON; empty before it is sealed."""

    def sealed(self) -> Self:
        """The same with its hash, ready to be written."""
        return self.model_copy(update={"seal": self._hash()})

    @model_validator(mode="after")
    def _unchanged(self) -> Self:
        if self.seal and self.seal != self._hash():
            raise ValueError("it is not what was written")
        return self

    def _hash(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"seal"}).encode()).hexdigest()
