"""Parity: the difference between a runtime's embeddings and those of the exported model."""

from __future__ import annotations

from pydantic import Field

from vitreid.bundle.frozen import FrozenModel


class ParityScores(FrozenModel):
    """Scores of a data set with the embeddings of a runtime and of the exported model; all but `queries` 0..1."""

    data: str
    queries: int = Field(gt=0)
    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    rank1: float
    model_mAP: float  # noqa: N815
    model_rank1: float

    @property
    def loss(self) -> float:
        """The mAP that the runtime loses against the model, -1..1."""
        return self.model_mAP - self.mAP


class Parity(FrozenModel):
    """Comparison of a runtime's embeddings with the model's, image by image, and by `scores` if data were given.

    `spread` is the root mean square distance of the embeddings from their mean, by which the corrected cosines are
    corrected; manifests of earlier versions have none of the three.
    """

    runtime: str
    precision: str
    images: int = Field(gt=0)
    max_abs_difference: float = Field(ge=0)
    min_cosine: float = Field(le=1.0 + 1e-6)
    mean_cosine: float | None = Field(None, le=1.0 + 1e-6)
    spread: float | None = Field(None, ge=0)
    min_corrected_cosine: float | None = Field(None, le=1.0 + 1e-6)
    mean_corrected_cosine: float | None = Field(None, le=1.0 + 1e-6)
    scores: ParityScores | None = None
