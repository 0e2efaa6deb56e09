"""Calibration of scores to probabilities that two images show one person.

A calibration is measured on pairs of images by two different cameras. So there is a probability for the pair of a
query of one image and the item that a candidate shows, from their score: re-ranking changes the order and not the
pair, and a group has the probability of its best item. There is none where the query is a mean of several images, of
a track, or of what was found (expansion), whose scores are not those of pairs; none where the two are by one camera, or
may be, because the camera of either is not known; and none in a gallery of another domain than that of the calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from vitreid.bundle import Calibration
from vitreid.bundle.calibration import Domain
from vitreid.service.errors import BadParameter, NotCalibrated
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.request import SearchRequest


def calibration_within(calibration: Calibration | None, domain: Domain | None) -> Calibration | None:
    """Return the calibration if it was measured on images of this domain, else None."""
    return calibration if calibration is not None and calibration.data.domain == domain else None


def with_known_cameras(where: Filter, gallery: Gallery) -> Filter:
    """Narrow a filter to items of known cameras; others have no probability."""
    if where.cameras is not None:
        return where
    known = {camera_id for camera_id, _ in gallery.camera_counts() if camera_id is not None}
    return replace(where, cameras=frozenset(known - where.exclude_cameras))


@dataclass(frozen=True)
class ScoreCalibration:
    """Maps the scores of one query to probabilities."""

    calibration: Calibration | None
    camera_id: str | None
    """The query's camera; None: unknown."""
    single: bool
    """The query is one image, without expansion."""

    @classmethod
    def of(
        cls,
        calibration: Calibration | None,
        gallery: Gallery,
        request: SearchRequest,
        camera_id: str | None,
        images: int,
    ) -> Self:
        """Return the calibration for a query of so many images in a gallery, none for a gallery of another domain."""
        within = calibration_within(calibration, gallery.settings().domain)
        return cls(within, camera_id, single=images == 1 and not request.expand)

    def probability(self, candidate: Candidate) -> float | None:
        """Return the probability that a candidate shows the query's person; None: not measured for such a pair."""
        cameras = {self.camera_id, candidate.match.item.camera_id}
        if self.calibration is None or not self.single or None in cameras or len(cameras) == 1:
            return None
        return self.calibration.probability(candidate.match.score)

    def min_score(self, min_score: float | None, min_probability: float | None) -> float | None:
        """Return the lowest score that satisfies both minima; None: any does.

        Raises NotCalibrated where there is no calibration, and BadParameter for a query that has no probability and
        for one that no score reaches.
        """
        if min_probability is None:
            return min_score
        if self.calibration is None:
            raise NotCalibrated(
                f"min_probability {min_probability} needs a model that is calibrated for such images, and this one is "
                "not; use min_score, or calibrate the bundle with `vitreid export calibrate` and restart"
            )
        if not self.single:
            raise BadParameter(
                f"min_probability {min_probability} is for a query of one image without expand, as the calibration was "
                "measured; use min_score"
            )
        if self.camera_id is None:
            raise BadParameter(
                f"min_probability {min_probability} needs the query's camera, since probabilities are of pairs by two "
                "cameras; give camera_id (--camera), or use min_score"
            )
        calibrated = self.calibration.min_score(min_probability)
        if calibrated is None:
            raise BadParameter(
                f"min_probability {min_probability} is higher than any score's probability; this calibration's "
                f"highest is {self.calibration.max_probability:.4f}, at a prior of {self.calibration.prior:.2g}"
            )
        return calibrated if min_score is None else max(calibrated, min_score)
