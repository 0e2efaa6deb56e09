"""Scores by pair of cameras: the queries of one camera against the gallery images of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitreid.scoring.labelled import Labelled, ScoringError
from vitreid.scoring.metrics import score_queries


@dataclass(frozen=True)
class CameraPair:
    """Scores of the queries of one camera in a gallery with the images of one other camera."""

    query_camera: str
    gallery_camera: str
    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    rank1: float
    queries: int


def score_camera_pairs(query: Labelled, gallery: Labelled) -> list[CameraPair]:
    """Score every pair of different cameras in which a query has a match.

    Raises ScoringError if there is no such pair.
    """
    by_camera = {camera: query.take(query.cameras == camera) for camera in np.unique(query.cameras)}
    pairs = []
    for gallery_camera in np.unique(gallery.cameras):
        images = gallery.take(gallery.cameras == gallery_camera)
        for camera, queries in by_camera.items():
            scores = score_queries(queries, images)  # a camera has no match with itself
            if len(scores):
                measures = {name: float(values.mean()) for name, values in scores.measures().items()}
                names = str(camera), str(gallery_camera)
                pairs.append(CameraPair(*names, measures["mAP"], measures["rank1"], len(scores)))
    if not pairs:
        raise ScoringError("no person was seen by two known cameras, so there is no pair of cameras to score")
    return sorted(pairs, key=lambda pair: (_order(pair.query_camera), _order(pair.gallery_camera)))


def _order(camera: str) -> tuple[int, str]:
    return len(camera), camera  # c2 before c10
