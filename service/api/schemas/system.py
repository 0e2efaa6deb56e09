"""Bodies of the routes about the service itself, its calibration and its audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from vitreid.bundle import Calibration
from vitreid.bundle.calibration import CalibrationData, HeldOut, Thresholds
from vitreid.service.api.schemas.common import NOTE

CLAIM = (
    "A probability is the share of pairs of images by two cameras with such a score that showed one person in the "
    "calibration data, at a share of `prior` of such pairs. It is a similarity, not an identity: a human decides."
)


class CalibrationInfo(BaseModel):
    """Calibration of scores to probabilities, with its quality and the error rates of thresholds."""

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
        """Return the calibration without its knots."""
        return cls(
            method=calibration.method,
            created_at=calibration.created_at,
            prior=calibration.prior,
            max_probability=calibration.max_probability,
            data=calibration.data,
            held_out=calibration.held_out,
            thresholds=list(calibration.thresholds),
        )


class BundleInfo(BaseModel):
    """The model."""

    id: str = Field(examples=["da20c6d75e0949b39554913c784c42dbdbc246057b0477c7061a6e71acdf2932"])
    name: str = Field(examples=["starter"])
    image_height: int = Field(examples=[128])
    image_width: int = Field(examples=[64])
    dimension: int = Field(description="numbers of an embedding", examples=[128])
    cameras: list[str] = Field(description="cameras that the model learned", examples=[["c1", "c2"]])
    starter: bool = Field(description="whether it is the starter bundle, trained on drawn people only")
    explains: bool = Field(description="whether it supports `POST /v1/explain`")
    calibration: CalibrationInfo | None = Field(description="calibration of its scores; null: it is not calibrated")


class GalleryBody(BaseModel):
    """The gallery."""

    name: str = Field(examples=["default"])
    size: int = Field(description="items", examples=[360])
    persons: int = Field(description="distinct person_id labels", examples=[60])
    cameras: dict[str, int] = Field(description="items per camera", examples=[{"c1": 180, "c2": 180}])
    generation: int = Field(description="number of the current embeddings; a new model makes the next", examples=[1])
    index: str = Field(description="kind of the index", examples=["flat"])
    index_reason: str = Field(
        description="why this index",
        examples=["360 embeddings are within 600,000: comparing all of them is exact and fast enough"],
    )
    index_parameters: dict[str, float] = Field(description="tuned parameters of the index")
    index_bytes: int = Field(description="memory of the index", examples=[599040])
    snapshot_at: datetime | None = Field(description="when the newest snapshot was written; null where there is none")
    snapshot_lag: int = Field(description="changes since then, which the next start replays", examples=[0])


class RuntimeInfo(BaseModel):
    """The runtime that runs the model in fact, which may differ from the settings."""

    name: str = Field(description="name of the runtime", examples=["onnx"])
    provider: str = Field(description="hardware: cpu, cuda or tensorrt", examples=["cpu"])
    precision: str = Field(description="number type of the computation", examples=["fp32"])
    threads: int | None = Field(description="cores of one run; null on a GPU", examples=[2])


class BatchingInfo(BaseModel):
    """Batching of requests."""

    max_batch: int = Field(description="images of one run", examples=[4])
    max_queue: int = Field(description="images that may wait", examples=[256])
    waiting: int = Field(description="images that wait now", examples=[0])


class LimitsInfo(BaseModel):
    """Limits of requests."""

    body_bytes: int = Field(description="of one request", examples=[33554432])
    images: int = Field(description="images of one POST /v1/items", examples=[64])
    pixels: int = Field(description="of one image", examples=[25000000])
    requests: int = Field(description="in flight at a time", examples=[512])
    deadline_s: float = Field(description="within which an answer begins", examples=[30.0])


class DriftInfo(BaseModel):
    """A camera whose queries' best scores have drifted from the first ones: an alarm for people."""

    gallery: str = Field(examples=["default"])
    camera_id: str = Field(description="of the query; `unknown` where it named none", examples=["gate"])
    index: float = Field(description="population stability index; over 0.25 is an alarm", examples=[0.41])
    reference_mean: float = Field(description="of the first best scores", examples=[0.71])
    recent_mean: float = Field(description="of the latest ones", examples=[0.58])


class Info(BaseModel):
    """Information about the service."""

    name: str = Field(examples=["vitreid"])
    version: str = Field(examples=["0.1.0"])
    bundle: BundleInfo
    gallery: GalleryBody | None = Field(description="null for a key that is limited to galleries or cameras")
    runtime: RuntimeInfo
    batching: BatchingInfo
    limits: LimitsInfo
    drift: list[DriftInfo] = Field(description="alarms about score distributions; empty for a limited key")
    warnings: list[str] = Field(
        description="what an operator should check, as a clock that cannot be right; empty for a limited key",
        examples=[
            ["gallery default: retention waits: the clock shows 2099-01-01, which cannot be right; set the clock"]
        ],
    )
    uptime_s: float = Field(description="seconds since everything was loaded", examples=[3600.0])
    note: str = NOTE


class Health(BaseModel):
    """A state in one word, with the checks."""

    status: Literal["ok", "ready"]
    checks: dict[str, str] = Field(
        default_factory=dict,
        description="of /readyz, to those with a key",
        examples=[{"embedding": "ok", "search": "ok", "audit_log": "ok", "room": "ok"}],
    )


class AuditRow(BaseModel):
    """One request or command with its caller, time, action and items. Never an image, never an embedding."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="rises by one; a gap shows that a row was deleted", examples=[41])
    at: datetime
    request_id: str | None = Field(
        description="the answer's X-Request-ID; null for a command", examples=["5058372260824aebb9ceaba8a55a9b92"]
    )
    key_id: str | None = Field(description="null for a command and while there were no keys", examples=["k3v9x0qa"])
    name: str = Field(description="of the key; anonymous, unknown or command line without one", examples=["gate 4"])
    address: str | None = Field(
        description="of the client; null unless VITREID_AUDIT_ADDRESSES is set", examples=[None]
    )
    action: str = Field(examples=["query"])
    gallery: str | None = Field(examples=["default"])
    items: list[int] = Field(description="ids that were requested, found, added or erased", examples=[[17, 4]])
    person_id: str | None = Field(description="label of the request, if it named a person", examples=[None])
    status: int | None = Field(description="of the answer; null for a command that succeeded", examples=[200])


class AuditPage(BaseModel):
    """Rows in the order in which they were recorded."""

    rows: list[AuditRow]
    next_after: int | None = Field(description="give it as `after` for the next page; null on the last one")
