"""What the scores of a query say about who is shown, where the model is calibrated: for one image against one other.

A calibration is measured on pairs of images by two different cameras. So there is a probability for the pair of a
query of one image and the item that a candidate shows, from their score: re-ranking changes the order and not the
pair, and a group has the probability of its best item. There is none where the query is a mean of several images, of
a track, or of what was found (expansion), whose scores are not those of pairs; none where the two are by one camera, or
may be, because the camera of either is not known; and none in a gallery of another domain than that of the calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vitreid.bundle import Calibration
from vitreid.bundle.calibration import Domain
from vitreid.service.errors import BadParameter, NotCalibrated
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.candidates import Candidate


def calibration_within(calibration: Calibration | None, domain: Domain | None) -> Calibration | None:
    """The calibration where it was measured on images of this domain, otherwise None."""
    return calibration if calibration is not None and calibration.data.domain == domain else None


def with_known_cameras(where: Filter, gallery: Gallery) -> Filter:
    """A filter that leaves out items of unknown cameras, which have no probability."""
    if where.cameras is not None:
        return where
    known = {camera_id for camera_id, _ in gallery.camera_counts() if camera_id is not None}
    return replace(where, cameras=frozenset(known - where.exclude_cameras))


@dataclass(frozen=True)
class ScoreCalibration:
    """How the scores of one query are to be read."""

    calibration: Calibration | None
    camera_id: str | None
    """Of the query, where it is known."""
    single: bool
    """Whether the query is one image and nothing else."""

    def probability(self, candidate: Candidate) -> float | None:
        """That a candidate's item shows the person of the query; None: nothing was measured for such a pair."""
        cameras = {self.camera_id, candidate.match.item.camera_id}
        if self.calibration is None or not self.single or None in cameras or len(cameras) == 1:
            return None
        return self.calibration.probability(candidate.match.score)

    def min_score(self, min_score: float | None, min_probability: float | None) -> float | None:
        """The lowest score that satisfies both; None: any does.

        Raises NotCalibrated where there is no calibration, and BadParameter for a query that has no probability and
        for one that no score reaches.
        """
        if min_probability is None:
            return min_score
        if self.calibration is None:
            raise NotCalibrated(
                f"min_probability {min_probability} needs a model that is calibrated for such images, and this one is "
                "not: use min_score, or calibrate the bundle with `vitreid export calibrate` and restart"
            )
        if not self.single:
            raise BadParameter(
                f"min_probability {min_probability} is for a query of one image without expand: what was measured is "
                "one image against one; use min_score"
            )
        if self.camera_id is None:
            raise BadParameter(
                f"min_probability {min_probability} needs the query's camera, since probabilities are of pairs by two "
                "cameras: give camera_id (--camera), or use min_score"
            )
        least = self.calibration.min_score(min_probability)
        if least is None:
            raise BadParameter(
                f"min_probability {min_probability} is higher than any score's probability; this calibration's "
                f"highest is {self.calibration.max_probability:.4f}, at a prior of {self.calibration.prior:.2g}"
            )
        return least if min_score is None else max(least, min_score)
