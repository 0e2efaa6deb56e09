"""The base class of every part of a manifest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable model that allows no further fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
