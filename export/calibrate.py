"""Calibration of a bundle's scores: probabilities and thresholds, measured on pairs of labelled images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from vitreid.bundle import Bundle, Calibration
from vitreid.bundle.calibration import CalibrationData, Domain
from vitreid.scoring.calibration import check_options, fit_calibration
from vitreid.scoring.pairs import Images
from vitreid.scoring.thresholds import find_thresholds
from vitreid.training.datasets import Sample, Split
from vitreid.training.errors import DataError
from vitreid.training.evaluation.embed import RetrievalModel, embed_split


@dataclass(frozen=True)
class CalibrationSource:
    """A data set, its name and its layout."""

    name: str
    dataset: str
    split: Split
    domain: Domain | None = None


def calibrate(
    bundle: Bundle,
    embedder: RetrievalModel,
    source: CalibrationSource,
    *,
    method: str | None = None,
    prior: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bundle:
    """Calibrate scores on the query and gallery images of a data set, and add the calibration to the manifest.

    `method`, one of scoring.calibration.METHODS, is by default the better one on held-out persons, and
    `prior` the share of the pairs that show one person. Images of unknown cameras are left out, since
    pairs of them may be by one camera. Nothing is written if an error is raised.

    Raises DataError if query or gallery has no image of a known camera, and ScoringError for too few cameras,
    persons or pairs, scores without information, an unknown method and a prior outside of 0 to 1.
    """
    check_options(method, prior)  # before any image is embedded
    split = _with_cameras(source.split)
    images = Images.of(*embed_split(split, embedder, progress))
    counts, thresholds = find_thresholds(images)
    fit = fit_calibration(images, counts, method=method, prior=prior)
    cameras = images.camera_names()
    samples = (*split.query, *split.gallery)
    data = CalibrationData(
        name=source.name,
        dataset=source.dataset,
        sha256=_hash(samples),
        images=len(samples),
        cameras=tuple(cameras),
        uses_model_cameras=not set(embedder.cameras).isdisjoint(cameras),
        domain=source.domain,
        pairs=asdict(images.pair_numbers(counts)),
    )
    measured = asdict(fit) | {"data": data, "thresholds": [asdict(each) for each in thresholds]}
    made = {"bundle_id": bundle.manifest.bundle_id, "created_at": datetime.now(UTC).replace(microsecond=0)}
    return bundle.extend(calibration=Calibration.model_validate(made | measured))


def _with_cameras(split: Split) -> Split:
    query, gallery = (tuple(sample for sample in part if sample.camera) for part in (split.query, split.gallery))
    for name, before, after in (("query", split.query, query), ("gallery", split.gallery, gallery)):
        if before and not after:
            raise DataError(
                f"none of the {len(before)} {name} images has a camera; calibration compares images by "
                "different cameras, so name them as the data set's layout does"
            )
    return replace(split, query=query, gallery=gallery)


def _hash(samples: Sequence[Sample]) -> str:
    lines = sorted(f"{sample.path.name} {sample.person} {sample.camera}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
