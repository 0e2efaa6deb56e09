"""How far a runtime's embeddings are from those of the model that a bundle was made of."""

from __future__ import annotations

from pydantic import Field

from vitreid.bundle.frozen import FrozenModel


class ParityScores(FrozenModel):
    """A data set searched with a runtime's embeddings, and with those of the model itself; all but `queries` 0..1."""

    data: str
    queries: int = Field(gt=0)
    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    rank1: float
    model_mAP: float  # noqa: N815
    model_rank1: float

    @property
    def loss(self) -> float:
        """By how much the model's mAP is higher, 0..1; negative where it is lower."""
        return self.model_mAP - self.mAP


class Parity(FrozenModel):
    """Embeddings of a runtime compared with the model's, image by image, and by `scores` where data were given.

    `spread` is how far embeddings of different images are from their mean, the corrected cosines are by it; manifests
    of earlier versions have none of the three.
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
