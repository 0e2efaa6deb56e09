"""Which cameras are hard to match: scores for each camera of the query against each camera of the gallery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitreid.scoring.labelled import Labelled, ScoringError
from vitreid.scoring.metrics import score_queries


@dataclass(frozen=True)
class CameraPair:
    """Scores of the queries by one camera where the gallery holds only the images by another one."""

    query_camera: str
    gallery_camera: str
    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    rank1: float
    queries: int


def score_camera_pairs(query: Labelled, gallery: Labelled) -> list[CameraPair]:
    """Every pair of different cameras in which a query has a match; others are left out.

    Raises ScoringError where there is no such pair.
    """
    asked = {camera: query.take(query.cameras == camera) for camera in np.unique(query.cameras)}
    pairs = []
    for gallery_camera in np.unique(gallery.cameras):
        offered = gallery.take(gallery.cameras == gallery_camera)
        for camera, queries in asked.items():
            scores = score_queries(queries, offered)  # a camera against itself: all its matches are left out
            if len(scores):
                measures = {name: float(values.mean()) for name, values in scores.measures().items()}
                names = str(camera), str(gallery_camera)
                pairs.append(CameraPair(*names, measures["mAP"], measures["rank1"], len(scores)))
    if not pairs:
        raise ScoringError("no person was seen by two known cameras, so there is no pair of cameras to score")
    return sorted(pairs, key=lambda pair: (_order(pair.query_camera), _order(pair.gallery_camera)))


def _order(camera: str) -> tuple[int, str]:
    return len(camera), camera  # c2 before c10
