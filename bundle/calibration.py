"""What a score is worth: the manifest's part that gives scores of pairs a probability, and thresholds their rates.

A probability that two images show one person depends on two things: on what the score tells, and on how often such
pairs show one person before anybody looked. The first is measured and kept as the logarithm of a likelihood ratio, how
many times more often pairs of one person have this score than pairs of different persons. The second is the `prior`, an
assumption that stands beside it in the open: log odds = log likelihood ratio + log odds of the prior.
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
    """Pairs of images by two different cameras, and the persons they show."""

    persons: Count = Field(description="sought persons", examples=[100])
    same: Count = Field(description="pairs that show one person", examples=[1900])
    different: Count = Field(description="pairs that show two persons", examples=[180000])


class Estimate(FrozenModel):
    """A rate, and the range that holds it with a confidence of 95 %, by bootstrap over persons."""

    value: Share = Field(examples=[0.62])
    low: Share = Field(examples=[0.55])
    high: Share = Field(examples=[0.69])


class Threshold(FrozenModel):
    """The lowest score at which no larger share of the pairs of different persons is matched than is asked for."""

    false_match_rate: Within = Field(description="asked for", examples=[0.001])
    score: Finite = Field(description="the least score to choose", examples=[0.71])
    false_matches: Estimate = Field(description="share of the pairs of different persons at or above the score")
    true_matches: Estimate = Field(description="share of the pairs of one person at or above the score")


class Thresholds(FrozenModel):
    """Thresholds for all pairs, or for those between two cameras."""

    cameras: tuple[str, str] | None = Field(description="null: all of them", examples=[["c1", "c2"]])
    pairs: PairNumbers
    at: tuple[Threshold, ...]
    unmeasured_rates: tuple[Within, ...] = Field(
        description="false match rates that so few pairs of different persons cannot tell", examples=[[0.0001]]
    )


class ReliabilityBin(FrozenModel):
    """The pairs of persons not fitted on whose probability is within a range: what was said, and what was so."""

    low: Share = Field(examples=[0.2])
    high: Share = Field(examples=[0.3])
    same: Count = Field(description="pairs of one person", examples=[212])
    different: Count = Field(description="pairs of different persons", examples=[307])
    probability: Share = Field(description="mean of what was said", examples=[0.2445])
    observed: Share = Field(description="share of one person, the prior being what is assumed", examples=[0.2547])


class HeldOut(FrozenModel):
    """How good such probabilities are for persons who were not fitted on, the prior being what is assumed.

    Half of the persons were scored by a fit on the other half and the other way round; what is kept is fitted on all.
    `base_...` is what is reached by always answering with the prior. Lower is better.
    """

    pairs: PairNumbers
    log_loss: float = Field(ge=0, description="in nats", examples=[0.021])
    base_log_loss: float = Field(ge=0, examples=[0.057])
    brier: Share = Field(examples=[0.0064])
    base_brier: Share = Field(examples=[0.0102])
    calibration_error: Share = Field(description="expected calibration error over the bins", examples=[0.0008])
    bins: tuple[ReliabilityBin, ...]


class CalibrationData(FrozenModel):
    """The images that were compared."""

    name: str = Field(examples=["site-a"])
    dataset: str = Field(description="layout", examples=["market1501"])
    sha256: str = Field(description="of what each image is called, its person and its camera")
    images: Count = Field(examples=[900])
    cameras: tuple[str, ...] = Field(examples=[["c1", "c2"]])
    uses_model_cameras: bool = Field(description="whether they were embedded as cameras that the model learned")
    domain: Domain | None = Field(None, description="what the images are; null: photographs")
    pairs: PairNumbers


class Calibration(FrozenModel):
    """Probability of a score for pairs by two different cameras, measured on stated data and at a stated prior."""

    bundle_id: str
    created_at: datetime
    method: str = Field(examples=["isotonic"])
    prior: Within = Field(description="share of all pairs that is assumed to show one person", examples=[0.01])
    knots: tuple[tuple[Finite, Finite], ...] = Field(min_length=1)
    """(score, log likelihood ratio), ascending in both; in between it is interpolated, outside it is constant."""
    data: CalibrationData
    held_out: HeldOut
    log_loss_by_method: dict[str, float]
    """Log loss of each method that was tried on persons held out."""
    thresholds: tuple[Thresholds, ...] = Field(min_length=1)
    """For all pairs first, then for each two cameras."""

    @model_validator(mode="after")
    def _knots_rise(self) -> Self:
        if any(one[0] >= other[0] or one[1] > other[1] for one, other in pairwise(self.knots)):
            raise ValueError("knots do not rise; calibrate the bundle again")
        return self

    @property
    def max_probability(self) -> float:
        """The highest probability that any score gets."""
        return self.probability(self.knots[-1][0])

    def probability(self, score: float) -> float:
        """That a pair of images by two cameras with this score shows one person, at the assumed prior."""
        place = bisect_left(self.knots, score, key=itemgetter(0))
        if 0 < place < len(self.knots):
            (before, ratio), (after, next_ratio) = self.knots[place - 1 : place + 1]
            ratio += (score - before) / (after - before) * (next_ratio - ratio)
        else:
            ratio = self.knots[min(place, len(self.knots) - 1)][1]
        return (1 + math.tanh((ratio + _log_odds(self.prior)) / 2)) / 2  # the logistic function, without overflow

    def min_score(self, probability: float) -> float | None:
        """The lowest score, from -1, that reaches a probability in (0, 1); None where no score does."""
        wanted = _log_odds(probability) - _log_odds(self.prior)
        place = bisect_left(self.knots, wanted, key=itemgetter(1))
        if place == len(self.knots):
            return None
        if place == 0:
            return -1.0
        (before, ratio), (after, next_ratio) = self.knots[place - 1 : place + 1]
        return before + (wanted - ratio) / (next_ratio - ratio) * (after - before)


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
