"""What scores are worth, as /v1/info tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from vitreid.bundle import Calibration
from vitreid.bundle.calibration import CalibrationData, HeldOut, Thresholds

CLAIM = (
    "A probability is how often pairs of images by two cameras with such a score showed one person in the "
    "calibration data, where the share of such pairs is `prior`. It is a likeness, not an identity: a human decides."
)


class CalibrationInfo(BaseModel):
    """How scores become probabilities, how good these are, and which least score has which rate of errors."""

    method: str = Field(examples=["isotonic"])
    created_at: datetime
    prior: float = Field(description="share of all pairs that is assumed to show one person", examples=[0.01])
    max_probability: float = Field(description="the highest probability that any score gets", examples=[0.995])
    data: CalibrationData
    held_out: HeldOut
    thresholds: list[Thresholds] = Field(description="for all pairs first, then for each two cameras")
    claim: str = Field(CLAIM, description="what a probability means")

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Without the knots."""
        return cls(
            method=calibration.method,
            created_at=calibration.created_at,
            prior=calibration.prior,
            max_probability=calibration.max_probability,
            data=calibration.data,
            held_out=calibration.held_out,
            thresholds=list(calibration.thresholds),
        )
