"""What every part of a manifest has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Values that do not change, and no others than the named ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")
