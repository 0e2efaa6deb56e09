"""Calibration in the manifest: probabilities of scores, and thresholds with their false match rates.

The probability that two images show one person depends on the evidence of their score, and on the share of such pairs
that show one person at all. The evidence is measured and stored as the logarithm of a likelihood ratio: how many times
more often pairs of one person have this score than pairs of different persons. The share is the `prior`, an assumption
that is stored with it: log odds = log likelihood ratio + log odds of the prior.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vitreid.bundle.frozen import FrozenModel

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Within = Annotated[float, Field(gt=0, lt=1)]
Domain = Literal["drawn"]


class PairNumbers(FrozenModel):
    """Numbers of pairs of images from two different cameras, and of the persons in them."""

    persons: Count = Field(description="persons that are searched for", examples=[100])
    same: Count = Field(description="pairs that show one person", examples=[1900])
    different: Count = Field(description="pairs that show two persons", examples=[180000])


class Estimate(FrozenModel):
    """A rate and its 95 % confidence interval, by bootstrap over persons."""

    value: Share = Field(examples=[0.62])
    low: Share = Field(examples=[0.55])
    high: Share = Field(examples=[0.69])


class Threshold(FrozenModel):
    """The lowest score at which the false match rate is no higher than the requested one."""

    false_match_rate: Within = Field(description="the requested rate", examples=[0.001])
    score: Finite = Field(description="the minimum score for this rate", examples=[0.71])
    false_matches: Estimate = Field(description="share of the pairs of different persons at or above the score")
    true_matches: Estimate = Field(description="share of the pairs of one person at or above the score")


class Thresholds(FrozenModel):
    """Thresholds for all pairs, or for pairs between two cameras."""

    cameras: tuple[str, str] | None = Field(description="null: all cameras", examples=[["c1", "c2"]])
    pairs: PairNumbers
    at: tuple[Threshold, ...]
    unmeasured_rates: tuple[Within, ...] = Field(
        description="false match rates that need more pairs of different persons to measure", examples=[[0.0001]]
    )


class ReliabilityBin(FrozenModel):
    """Held-out pairs whose probability is within a range: the predicted and the observed share of one person."""

    low: Share = Field(examples=[0.2])
    high: Share = Field(examples=[0.3])
    same: Count = Field(description="pairs of one person", examples=[212])
    different: Count = Field(description="pairs of different persons", examples=[307])
    probability: Share = Field(description="mean of the predicted probabilities", examples=[0.2445])
    observed: Share = Field(description="observed share of one person, at the assumed prior", examples=[0.2547])


class HeldOut(FrozenModel):
    """Quality of the probabilities on held-out persons, with pairs weighted to the assumed prior; lower is better.

    Each half of the persons was scored by a fit on the other half; the stored calibration is fitted on all.
    `base_...` are the values of always answering with the prior.
    """

    pairs: PairNumbers
    log_loss: float = Field(ge=0, description="in nats", examples=[0.021])
    base_log_loss: float = Field(ge=0, examples=[0.057])
    brier: Share = Field(examples=[0.0064])
    base_brier: Share = Field(examples=[0.0102])
    calibration_error: Share = Field(description="expected calibration error over the bins", examples=[0.0008])
    bins: tuple[ReliabilityBin, ...]


class CalibrationData(FrozenModel):
    """The images that the calibration was measured on."""

    name: str = Field(examples=["site-a"])
    dataset: str = Field(description="layout of the data set", examples=["market1501"])
    sha256: str = Field(description="of the name, person and camera of each image")
    images: Count = Field(examples=[900])
    cameras: tuple[str, ...] = Field(examples=[["c1", "c2"]])
    uses_model_cameras: bool = Field(description="true if images were embedded with the cameras that the model learned")
    domain: Domain | None = Field(None, description="kind of the images; null: photographs")
    pairs: PairNumbers


class Calibration(FrozenModel):
    """Probability of a score for pairs from two different cameras, on stated data and at a stated prior."""

    bundle_id: str
    created_at: datetime
    method: str = Field(examples=["isotonic"])
    prior: Within = Field(description="assumed share of pairs that show one person", examples=[0.01])
    knots: tuple[tuple[Finite, Finite], ...] = Field(min_length=1)
    """(score, log likelihood ratio), ascending in both; interpolated linearly, constant outside."""
    data: CalibrationData
    held_out: HeldOut
    log_loss_by_method: dict[str, float]
    """Log loss of each method that was tried, on held-out persons."""
    thresholds: tuple[Thresholds, ...] = Field(min_length=1)
    """For all pairs first, then for each pair of cameras."""

    @model_validator(mode="after")
    def _knots_are_ascending(self) -> Self:
        if any(one[0] >= other[0] or one[1] > other[1] for one, other in pairwise(self.knots)):
            raise ValueError("knots are not ascending; calibrate the bundle again")
        return self

    @property
    def max_probability(self) -> float:
        """The highest probability of any score."""
        return self.probability(self.knots[-1][0])

    def probability(self, score: float) -> float:
        """Return the probability, at the assumed prior, that a pair of images with this score shows one person."""
        index = bisect_left(self.knots, score, key=itemgetter(0))
        if 0 < index < len(self.knots):
            (low, ratio), (high, high_ratio) = self.knots[index - 1 : index + 1]
            ratio += (score - low) / (high - low) * (high_ratio - ratio)
        else:
            ratio = self.knots[min(index, len(self.knots) - 1)][1]
        return (1 + math.tanh((ratio + _log_odds(self.prior)) / 2)) / 2  # the logistic function, without overflow

    def min_score(self, probability: float) -> float | None:
        """Return the lowest score, from -1, that reaches a probability in (0, 1); None if no score does."""
        wanted = _log_odds(probability) - _log_odds(self.prior)
        index = bisect_left(self.knots, wanted, key=itemgetter(1))
        if index == len(self.knots):
            return None
        if index == 0:
            return -1.0
        (low, ratio), (high, high_ratio) = self.knots[index - 1 : index + 1]
        return low + (wanted - ratio) / (high_ratio - ratio) * (high - low)


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
